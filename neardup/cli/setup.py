"""`neardup setup`."""

import click

from neardup.cli.output import json_option, print_json

__all__ = ["setup"]


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, do nothing.")
@json_option
def setup(dry_run: bool, as_json: bool) -> None:
    """Create topics, index templates, graph schema and cache functions.

    Idempotent: what exists and is right stays. Works on the local engines, or on those whose addresses are set.
    """
    from neardup.cli.wiring import opened

    with opened() as wiring:
        changes = wiring.setup(dry_run=dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "changes": changes})
        return
    for change in changes:
        click.echo(("would " if dry_run else "") + change)
    if not changes:
        click.echo("everything is set up already")
