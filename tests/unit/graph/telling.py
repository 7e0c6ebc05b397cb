"""Telling the assigner what people want, over the ports in memory, and reading what came of it."""

from typing import Any

from neardup.commands import CommandBody, Move, Verdict
from neardup.entries import Entry, Link, Refused, Unchanged
from neardup.types import ImageId
from tests.unit.graph.pipeline import Pipeline

__all__ = [
    "FAR",
    "A",
    "B",
    "C",
    "X",
    "Z",
    "clusters",
    "move",
    "only",
    "refused",
    "seq_of",
    "unchanged",
    "verdict",
]

A, B, C, X, Z = map(ImageId, "abcxz")
FAR = 12


def clusters(world: Pipeline) -> dict[str, str]:
    """Head -> members in the order of reading."""
    found: dict[str, str] = {}
    for placement in world.store.placements_all():
        members = world.store.members(placement.cluster_id).members
        found[placement.head] = "".join(member.image_id for member in members)
    return found


def only(entries: list[Entry], kind: type[Any]) -> Any:
    assert [type(entry) for entry in entries] == [kind], entries
    return entries[0]


def refused(world: Pipeline, body: CommandBody) -> str:
    before = clusters(world)
    found = only(world.tell(body), Refused)
    assert clusters(world) == before
    return str(found.because)


def unchanged(world: Pipeline, body: CommandBody) -> str:
    return str(only(world.tell(body), Unchanged).because)


def seq_of(world: Pipeline, image_id: str) -> int:
    return world.store.placements([ImageId(image_id)])[ImageId(image_id)].seq


def verdict(link: Link, a: str, b: str) -> Verdict:
    return Verdict(link=link, a=ImageId(a), b=ImageId(b))


def move(world: Pipeline, *images: str, to: Any = "own", into: str | None = None) -> Move:
    return Move(
        images=tuple((ImageId(name), seq_of(world, name)) for name in images),
        to=to,
        into=None if into is None else ImageId(into),
    )
