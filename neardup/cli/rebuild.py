"""`neardup rebuild`: graph, index and cache, made again from the ledger."""

import click

from neardup.cli.output import json_option, print_json

__all__ = ["rebuild"]


@click.command()
@click.argument("what", type=click.Choice(["graph", "index", "cache", "all"]))
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def rebuild(what: str, yes: bool, as_json: bool) -> None:
    """Drop a projection and make it again from the ledger, while the others serve.

    graph: who reads the graph is told that it is being rebuilt, and deciding waits; heads in the cache are served.
    index: a new one is filled beside the one that is searched, and takes its place. cache: emptied, and filled from the
    graph. Safe to interrupt; then repeat it, for a graph that was half dropped stays closed.
    """
    from neardup.cli.rebuilding import Rebuild
    from neardup.cli.wiring import opened

    parts = ["graph", "index", "cache"] if what == "all" else [what]
    if not yes:
        click.confirm(f"Drop {', '.join(parts)} and make {'it' if len(parts) == 1 else 'them'} again?", abort=True)

    def say(text: str) -> None:
        if not as_json:
            click.echo(text, err=True)

    with opened() as wiring:
        work = Rebuild(wiring, say=say)
        try:
            done = {part: {"graph": work.graph, "index": work.index, "cache": work.cache}[part]() for part in parts}
        finally:
            work.close()
    if as_json:
        print_json({"rebuilt": done})
    else:
        for part, seq in done.items():
            click.echo(f"{part}: made again from the ledger up to seq {seq}")
