"""`neardup history`, and the moments that `--as-of` takes."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from neardup.cli.lookup import file_or_id
from neardup.cli.output import json_option, print_json
from neardup.cli.sentences import said_by, sentence_of
from neardup.cli.wiring import opened
from neardup.entries import Entry
from neardup.records import encode_entry

if TYPE_CHECKING:
    from neardup.cli.wiring import Wiring

__all__ = ["history", "moment"]


@click.command()
@click.argument("name", metavar="IMAGE|HEAD")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Largest page.")
@click.option("--before", type=click.IntRange(min=1), metavar="SEQ", help="Only entries older than this seq.")
@json_option
def history(name: str, limit: int, before: int | None, as_json: bool) -> None:
    """What the ledger says of an image, or of the cluster of a head: the newest entry first.

    Of a head it shows all that happened to its cluster, of another image what names the image.
    """
    with opened() as wiring:
        names = _names(wiring, name)
        entries = wiring.history.entries(names, before=before, limit=limit + 1)
    more = entries[limit - 1].seq if len(entries) > limit else None
    entries = entries[:limit]
    if as_json:
        print_json({"names": names, "entries": [_as_json(entry) for entry in entries], "before": more})
        return
    for entry in entries:
        click.echo(f"{entry.seq:>10}  {moment(entry.at_ms)}  {sentence_of(entry)}{said_by(entry.actor, entry.reason)}")
    if not entries:
        click.echo(f"nothing in the ledger names {name}", err=True)
    if more is not None:
        click.echo(f"more: neardup history {name} --limit {limit} --before {more}", err=True)


def moment(at_ms: int) -> str:
    """A moment in UTC, as --as-of takes it."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _names(wiring: "Wiring", name: str) -> list[str]:
    """What to look for: the image, and its cluster if it is the head of one that is named after another image."""
    similar = wiring.similar_images
    image_id = file_or_id(similar, name)
    placement = similar.placement(image_id)
    if placement is None or placement.head != image_id or str(placement.cluster_id) == image_id:
        return [image_id]
    return [image_id, placement.cluster_id]


def _as_json(entry: Entry) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(encode_entry(entry))["entry"]
    return value
