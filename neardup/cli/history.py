"""`neardup history`, and the moments that `--as-of` takes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from neardup.cli.lookup import file_or_id
from neardup.cli.output import json_option, print_json
from neardup.cli.wiring import opened
from neardup.entries import (
    ClusterMerged,
    ClusterQuarantined,
    ClusterUnmerged,
    Decision,
    Entry,
    HeadChanged,
    ImageErased,
    NotMoved,
    Refused,
    Unchanged,
    Unforced,
    VerdictGiven,
    VerdictWithdrawn,
)
from neardup.records import encode_entry

if TYPE_CHECKING:
    from neardup.cli.wiring import Wiring

__all__ = ["describe", "history", "moment"]

_ASSIGNER = "assigner"


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
        click.echo(f"{entry.seq:>10}  {moment(entry.at_ms)}  {describe(entry)}")
    if not entries:
        click.echo(f"nothing in the ledger names {name}", err=True)
    if more is not None:
        click.echo(f"more: neardup history {name} --limit {limit} --before {more}", err=True)


def moment(at_ms: int) -> str:
    """A moment in UTC, as --as-of takes it."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe(entry: Entry) -> str:
    """An entry in one line, without its seq and time; people are named, with the reason they gave."""
    said = _WORDS[type(entry)](entry)
    if entry.actor == _ASSIGNER:
        return said
    return f"{said}  [{entry.actor}{': ' + entry.reason if entry.reason else ''}]"


def _decided(entry: Decision) -> str:
    came = f" from {entry.previous_cluster}" if entry.previous_cluster else ""
    best = f"; best {entry.matches[0].image_id} {entry.matches[0].score:.4f}" if entry.matches else ""
    return f"{entry.image_id} -> cluster {entry.cluster_id}{came} ({entry.rule}{best})"


def _erased(entry: ImageErased) -> str:
    head = f", head {entry.head}" if entry.head else ""
    return f"{entry.image_id} erased" + (f" from cluster {entry.cluster_id}{head}" if entry.cluster_id else "")


_WORDS: Final[dict[type[Entry], Callable[[Any], str]]] = {
    Decision: _decided,
    HeadChanged: lambda entry: f"cluster {entry.cluster_id}: head {entry.head} instead of {entry.previous_head}",
    ClusterMerged: lambda entry: f"cluster {entry.cluster_id} merged into {entry.into}, head {entry.head}",
    ClusterUnmerged: lambda entry: f"cluster {entry.cluster_id} taken out of {entry.out_of} again, head {entry.head}",
    ImageErased: _erased,
    ClusterQuarantined: lambda entry: f"cluster {entry.cluster_id} {'' if entry.on else 'no longer '}quarantined",
    VerdictGiven: lambda entry: f"{entry.a} {entry.link} {entry.b}",
    VerdictWithdrawn: lambda entry: f"{entry.a} {entry.link} {entry.b}: withdrawn",
    Unforced: lambda entry: f"{entry.image_id} no longer forced",
    NotMoved: lambda entry: "not moved: " + ", ".join(f"{image_id} ({why})" for image_id, why in entry.images),
    Refused: lambda entry: f"refused: {entry.command}: {entry.because}",
    Unchanged: lambda entry: f"no change: {entry.command}: {entry.because}",
}


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
