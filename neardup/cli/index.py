"""`neardup index`: the state of the index, and merging it into few segments."""

from dataclasses import asdict

import click

from neardup.cli.output import json_option, print_json, print_table

__all__ = ["index"]


@click.group()
def index() -> None:
    """The index: its state, and merging it."""


@index.command()
@json_option
def status(as_json: bool) -> None:
    """How many images the index holds, how many of them searches find, and in how many segments.

    Images that are not searchable have enough others of their cluster to stand for them.
    """
    from neardup.cli.wiring import opened
    from opensearch_templates.status import index_status

    with opened() as wiring:
        found = asdict(index_status(wiring.opensearch, wiring.index_names))
    if as_json:
        print_json(found)
    else:
        print_table(("of the index", ""), list(found.items()))


@index.command()
@click.option("--segments", type=click.IntRange(min=1), default=1, show_default=True, help="Segments a shard.")
@json_option
def merge(segments: int, as_json: bool) -> None:
    """Merge the index into few segments: searches are faster the fewer there are.

    Worth it after much has been loaded. Takes about ten seconds a million images, and room on disk for a second copy;
    searching and writing go on meanwhile.
    """
    from neardup.cli.wiring import opened
    from opensearch_templates.status import index_status, merge_segments

    with opened() as wiring:
        before = index_status(wiring.opensearch, wiring.index_names)
        merge_segments(wiring.opensearch, wiring.index_names, segments)
        after = index_status(wiring.opensearch, wiring.index_names)
    if as_json:
        print_json({"before": asdict(before), "after": asdict(after)})
    else:
        click.echo(f"{before.segments} segments became {after.segments}")
