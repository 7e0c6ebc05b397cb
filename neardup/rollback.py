"""What undoes decisions: the ledger in, moves out. Pure.

A rollback appends to the ledger, it takes nothing away. What a person decided is kept, and told.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from neardup.clusters import ClusterState
from neardup.commands import LARGEST_MOVE, Move
from neardup.entries import (
    ASSIGNER,
    NOT_SAID,
    ClusterMerged,
    ClusterUnmerged,
    Decision,
    Entry,
    HeadChanged,
    ImageErased,
    Unforced,
    VerdictGiven,
    VerdictWithdrawn,
)
from neardup.regrouping import Cell, Change, Regrouping
from neardup.types import ClusterId, ImageId
from neardup.verdicts import Verdicts

__all__ = ["Plan", "plan_back_to", "plan_without"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`commands` bring `changes` about, in this order, each image only if nothing was decided about it meanwhile.

    `kept`: what stays although it was to go back, with the reason. `again`: images that were not decided at that time;
    they are processed again. What was erased stays erased. An image that goes back and was head then is head again,
    unless a person has said something about the present head since.
    """

    changes: tuple[Change, ...]
    commands: tuple[Move, ...]
    kept: tuple[tuple[ImageId, str], ...]
    again: tuple[ImageId, ...]

    def goes_on_with(self, other: "Plan") -> bool:
        """Whether there is something to do, and nothing but what another plan began. Whoever came to stand for a
        cluster while others left it was decided again, and is not moved by a command that was made before."""
        begun = {change.image_id for change in other.changes}
        return bool(self.commands) and all(change.image_id in begun for change in self.changes)


def plan_back_to(
    entries: Sequence[Entry], seq: int, *, cluster: ClusterId | None = None, largest: int = LARGEST_MOVE
) -> Plan:
    """Back to where the ledger was after `seq`. `cluster`: only images that are in it now, or were in it then, or were
    taken out of it by a rollback since.

    An image goes back when it has left its cluster since, or was not there yet. Raises ValueError for a seq that the
    ledger does not have.
    """
    if not 0 <= seq <= len(entries):
        raise ValueError(f"to: seq {seq} is not between 0 and {len(entries)}")
    then, now = ClusterState(entries[:seq]), ClusterState(entries)
    carried, left = _carried(entries[seq:]), _left(entries[seq:])
    cells = {info.cluster_id: (info.cluster_id, info.since) for info in then.clusters()}
    wanted: dict[ImageId, Cell | None] = {}
    kept: dict[ImageId, str] = {}
    for placement in now.placements():
        image_id = placement.image_id
        was = then.placement(image_id)
        if cluster is not None and cluster != placement.cluster_id:
            before = None if was is None else _now_called(now, cells[was.cluster_id])
            came_from = {info.cluster_id if (info := now.cluster(one)) else one for one in left.get(image_id, ())}
            if cluster != before and cluster not in came_from:
                continue
        if was is None or now.member_seq(image_id) != then.member_seq(image_id):
            wanted[image_id] = None if was is None else cells[was.cluster_id]
        elif was.cluster_id != placement.cluster_id:
            kept[image_id] = carried[placement.segment]
    touched = {image_id: why for image_id, (at, why) in _touched(entries).items() if at is None or at > seq}
    return _plan(
        entries,
        now,
        wanted,
        there={cell: here for cell in cells.values() if (here := _now_called(now, cell)) is not None},
        kept=kept | {image_id: touched[image_id] for image_id in wanted if image_id in touched},
        heads={cells[info.cluster_id]: info.head for info in then.clusters()},
        named=touched.keys(),
        again=[image_id for image_id, target in wanted.items() if target is None and image_id not in touched],
        largest=largest,
    )


def plan_without(entries: Sequence[Entry], undo: Callable[[Decision], bool], *, largest: int = LARGEST_MOVE) -> Plan:
    """Every image whose decision is one of those to undo goes where the one before those put it, else it is by
    itself."""
    now = ClusterState()
    stays: dict[ImageId, tuple[Cell, Cell]] = {}  # its part and its root
    undone: dict[ImageId, int] = {}
    met: dict[Cell, ImageId] = {}
    for entry in entries:
        now.apply(entry)
        if not isinstance(entry, Decision):
            continue
        image_id = entry.image_id
        if entry.actor == ASSIGNER and entry.rule != "exemplar" and undo(entry):
            undone.setdefault(image_id, entry.seq)
            continue
        if entry.rule in NOT_SAID and image_id in undone:
            if entry.rule == "exemplar" or image_id not in stays:
                continue
            # Others may follow it, after an interruption.
            met[stays[image_id][1]] = image_id
        stays[image_id] = _cell(now, entry.segment), _cell(now, entry.cluster_id)
        undone.pop(image_id, None)
    wanted: dict[ImageId, Cell | None] = {}
    there = {cell: placement.cluster_id for cell, image_id in met.items() if (placement := now.placement(image_id))}
    for image_id in undone:
        placement = now.placement(image_id)
        if placement is None:
            continue
        part, root = stays.get(image_id, (None, None))
        here = None if part is None else _now_called(now, part)
        if here is None:
            wanted[image_id] = root
        elif here != placement.cluster_id:
            wanted[image_id] = _cell(now, here)
            there[_cell(now, here)] = here
    kept = {
        image_id: why
        for image_id, (at, why) in _touched(entries).items()
        if image_id in wanted and (at is None or at > undone[image_id])
    }
    again = [image_id for image_id in wanted if image_id not in stays and image_id not in kept]
    return _plan(entries, now, wanted, there=there, kept=kept, again=again, largest=largest)


def _plan(
    entries: Iterable[Entry],
    now: ClusterState,
    wanted: Mapping[ImageId, Cell | None],
    *,
    there: Mapping[Cell, ClusterId],
    kept: Mapping[ImageId, str],
    again: Iterable[ImageId],
    largest: int,
    heads: Mapping[Cell, ImageId] | None = None,
    named: Collection[ImageId] = (),
) -> Plan:
    regrouping = Regrouping(
        now,
        {image_id: target for image_id, target in wanted.items() if image_id not in kept},
        there=there,
        verdicts=_verdicts(entries),
        heads=heads or {},
        named=named,
    )
    return Plan(
        changes=regrouping.changes(),
        commands=regrouping.moves(largest),
        kept=(*kept.items(), *regrouping.hindered.items()),
        again=tuple(image_id for image_id in again if image_id not in regrouping.hindered),
    )


def _cell(state: ClusterState, cluster_id: ClusterId) -> Cell:
    part = state.part(cluster_id)
    assert part is not None
    return cluster_id, part.since


def _now_called(now: ClusterState, cell: Cell) -> ClusterId | None:
    """The cluster that this one is, or is a part of, now; None when it is no more."""
    part = now.part(cell[0])
    return None if part is None or part.since != cell[1] else part.root or part.cluster_id


def _touched(entries: Iterable[Entry]) -> dict[ImageId, tuple[int | None, str]]:
    """What people last said about each image, with its seq; None for what holds at any time: a force. What a rollback
    did is not a word about an image, nor is that an image stands for others."""
    touched: dict[ImageId, tuple[int | None, str]] = {}
    forced: set[ImageId] = set()
    for entry in entries:
        match entry:
            case Decision() if entry.actor != ASSIGNER and entry.rule not in NOT_SAID:
                if entry.rule == "forced":
                    forced.add(entry.image_id)
                why = f"{entry.actor} decided it at seq {entry.seq} ({entry.rule})"
                touched[entry.image_id] = entry.seq, why
            case Unforced():
                forced.discard(entry.image_id)
            case VerdictGiven() | VerdictWithdrawn():
                for image_id in (entry.a, entry.b):
                    why = f"{entry.actor} said at seq {entry.seq}: {entry.a!r} {entry.link} {entry.b!r}"
                    touched[image_id] = entry.seq, why
            case _:
                pass
    for entry in _promotions(entries):
        if (touched.get(entry.head, (0, ""))[0] or 0) < entry.seq:
            touched[entry.head] = entry.seq, f"{entry.actor} made it the head at seq {entry.seq}"
    for image_id in forced:
        touched[image_id] = None, touched[image_id][1]
    return touched


def _promotions(entries: Iterable[Entry]) -> list[HeadChanged]:
    """The changes of heads that somebody asked for: those that come with other entries only make room."""
    found: list[HeadChanged] = []
    for _, of_one in groupby(entries, key=lambda entry: entry.proposal_offset):
        match list(of_one):
            case [HeadChanged() as only]:
                found.append(only)
    return found


def _carried(entries: Iterable[Entry]) -> dict[ClusterId, str]:
    """Which part of a cluster came along with what a person did to the whole."""
    carried: dict[ClusterId, str] = {}
    for entry in entries:
        match entry:
            case ClusterMerged():
                why = f"{entry.actor} merged cluster {entry.cluster_id!r} into {entry.into!r} at seq {entry.seq}"
            case ClusterUnmerged():
                why = f"{entry.actor} took cluster {entry.cluster_id!r} out of {entry.out_of!r} at seq {entry.seq}"
            case _:
                continue
        carried |= dict.fromkeys(entry.segments, why)
    return carried


def _left(entries: Iterable[Entry]) -> dict[ImageId, set[ClusterId]]:
    """The images that rollbacks moved last, with the clusters that they took them out of."""
    left: dict[ImageId, set[ClusterId]] = {}
    for entry in entries:
        if isinstance(entry, Decision) and entry.previous_cluster is not None:
            if entry.rule == "rolled-back":
                left.setdefault(entry.image_id, set()).add(entry.previous_cluster)
            else:
                left.pop(entry.image_id, None)
    return left


def _verdicts(entries: Iterable[Entry]) -> Verdicts:
    """The verdicts that hold."""
    verdicts = Verdicts()
    for entry in entries:
        match entry:
            case VerdictGiven():
                verdicts.add(entry.link, entry.a, entry.b)
            case VerdictWithdrawn():
                verdicts.remove(entry.link, entry.a, entry.b)
            case ImageErased():
                verdicts.forget(entry.image_id)
            case _:
                pass
    return verdicts
