"""What undoes decisions: the ledger in, moves out. Pure.

A rollback appends to the ledger, it takes nothing away. What a person decided is kept, and told.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from neardup.clusters import ClusterState
from neardup.commands import LARGEST_MOVE, CommandBody, Move, Promote
from neardup.entries import Decision, Entry, Unforced, VerdictGiven, VerdictWithdrawn
from neardup.types import ClusterId, ImageId

__all__ = ["ASSIGNER", "Change", "Plan", "plan_back_to", "plan_without"]

ASSIGNER = "assigner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An image that moves: from its cluster now `to` another one, None for one of its own."""

    image_id: ImageId
    seq: int
    cluster_id: ClusterId
    to: ClusterId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`commands` bring it about, in this order, each image only if nothing was decided about it meanwhile. `kept`: what
    stays although it was to go back, with the reason. `again`: images that were not decided at that time; they are
    processed again."""

    changes: tuple[Change, ...]
    commands: tuple[CommandBody, ...]
    kept: tuple[tuple[ImageId, str], ...]
    again: tuple[ImageId, ...]


def plan_back_to(entries: Sequence[Entry], seq: int, *, cluster: ClusterId | None = None) -> Plan:
    """Back to where the ledger was after `seq`. `cluster`: only images that are in it now, or were in it then.

    Raises ValueError for a seq that the ledger does not have.
    """
    if not 0 <= seq <= len(entries):
        raise ValueError(f"to: seq {seq} is not between 0 and {len(entries)}")
    then, now = ClusterState(entries[:seq]), ClusterState(entries)
    later = [entry for entry in entries[seq:] if isinstance(entry, Decision)]
    wanted: dict[ImageId, ClusterId | None] = {}
    for image_id in dict.fromkeys(decision.image_id for decision in later):
        was, is_now = then.placement(image_id), now.placement(image_id)
        if is_now is None or (
            cluster is not None
            and cluster not in {is_now.cluster_id, is_now.cluster_id if was is None else was.cluster_id}
        ):
            continue
        wanted[image_id] = None if was is None else was.cluster_id
    heads = {info.cluster_id: info.head for info in then.clusters()}
    return _plan(now, wanted, _kept(entries, seq), heads, known=lambda image_id: then.placement(image_id) is not None)


def plan_without(entries: Sequence[Entry], undo: Callable[[Decision], bool]) -> Plan:
    """Every image whose decision is one of those to undo goes where the one before those put it, else it is by
    itself."""
    now = ClusterState(entries)
    stays: dict[ImageId, ClusterId] = {}
    undone: dict[ImageId, int] = {}
    for entry in entries:
        if not isinstance(entry, Decision):
            continue
        if entry.actor == ASSIGNER and undo(entry):
            undone.setdefault(entry.image_id, entry.seq)
        else:
            stays[entry.image_id] = entry.cluster_id
            undone.pop(entry.image_id, None)
    wanted: dict[ImageId, ClusterId | None] = {}
    for image_id in undone:
        if now.placement(image_id) is not None:
            info = now.cluster(stays[image_id]) if image_id in stays else None
            wanted[image_id] = stays.get(image_id) if info is None else info.cluster_id
    since = min(undone.values(), default=len(entries) + 1) - 1
    heads = {info.cluster_id: info.head for info in now.clusters()}
    return _plan(now, wanted, _kept(entries, since), heads, known=stays.__contains__)


def _kept(entries: Sequence[Entry], seq: int) -> dict[ImageId, str]:
    """The images that people said something about after `seq`, or forced at any time, with what that was."""
    kept: dict[ImageId, str] = {}
    forced: set[ImageId] = set()
    for entry in entries:
        match entry:
            case Decision() if entry.actor != ASSIGNER:
                if entry.rule == "forced":
                    forced.add(entry.image_id)
                if entry.seq > seq:
                    kept[entry.image_id] = f"{entry.actor} decided it at seq {entry.seq} ({entry.rule})"
            case Unforced():
                forced.discard(entry.image_id)
            case VerdictGiven() | VerdictWithdrawn() if entry.seq > seq:
                for image_id in (entry.a, entry.b):
                    kept[image_id] = f"{entry.actor} said at seq {entry.seq}: {entry.a!r} {entry.link} {entry.b!r}"
            case _:
                pass
    return dict.fromkeys(forced, "it is forced into its cluster") | kept


def _plan(
    now: ClusterState,
    wanted: Mapping[ImageId, ClusterId | None],
    touched: Mapping[ImageId, str],
    heads: Mapping[ClusterId, ImageId],
    *,
    known: Callable[[ImageId], bool],
) -> Plan:
    kept = [(image_id, touched[image_id]) for image_id in wanted if image_id in touched]
    movers = {image_id: target for image_id, target in wanted.items() if image_id not in touched}
    groups: dict[ClusterId, list[ImageId]] = {}
    alone: list[ImageId] = []
    for image_id, target in movers.items():
        if target is None:
            alone.append(image_id)
        else:
            groups.setdefault(target, []).append(image_id)
    commands: list[CommandBody] = []
    moved: dict[ImageId, ClusterId | None] = {}
    for target, images in groups.items():
        head = heads.get(target)
        anchor = _anchor(now, target, head, movers)
        if anchor is None:
            together = sorted(images, key=lambda image_id: (image_id != head, now.member_seq(image_id) or 0))
            if not _is_whole(now, together):
                moved |= dict.fromkeys(together, target)
                commands += _moves(now, together, into=None)
            # Once others have left, they may be what is left of a cluster, with another head.
            in_one = len({_cluster_of(now, image_id) for image_id in together}) == 1
            promoted = in_one and head in together and _head_of(now, together[0]) != head
        else:
            away = [image_id for image_id in images if _cluster_of(now, image_id) != _cluster_of(now, anchor)]
            moved |= dict.fromkeys(away, target)
            commands += _moves(now, away, into=anchor)
            promoted = head in images and _head_of(now, anchor) != head
        if promoted and head is not None:
            commands.append(Promote(image_id=head))
    leaving = [image_id for image_id in alone if not _is_whole(now, [image_id])]
    moved |= dict.fromkeys(leaving)
    # First those that leave: a cluster must not be entered by what it is about to lose.
    each = [Move(images=part, to="each") for part in _parts(_with_seqs(now, leaving))]
    changes = []
    for image_id, to in moved.items():
        placement = now.placement(image_id)
        assert placement is not None
        changes.append(Change(image_id=image_id, seq=placement.seq, cluster_id=placement.cluster_id, to=to))
    return Plan(
        changes=tuple(changes),
        commands=(*each, *commands),
        kept=tuple(kept),
        again=tuple(image_id for image_id in alone if not known(image_id)),
    )


def _anchor(now: ClusterState, target: ClusterId, head: ImageId | None, movers: Collection[ImageId]) -> ImageId | None:
    """An image that is in this cluster and stays there."""
    info = now.cluster(target)
    if info is None:
        return None
    if head is not None and head not in movers and _cluster_of(now, head) == info.cluster_id:
        return head
    members = now.members(info.cluster_id).members
    return next((member.image_id for member in members if member.image_id not in movers), None)


def _is_whole(now: ClusterState, images: Iterable[ImageId]) -> bool:
    """Whether these images already are one cluster by themselves."""
    wanted = list(images)
    roots = {_cluster_of(now, image_id) for image_id in wanted}
    info = now.cluster(roots.pop()) if len(roots) == 1 else None
    return info is not None and info.size == len(wanted)


def _head_of(now: ClusterState, image_id: ImageId) -> ImageId | None:
    placement = now.placement(image_id)
    return None if placement is None else placement.head


def _cluster_of(now: ClusterState, image_id: ImageId) -> ClusterId:
    placement = now.placement(image_id)
    return ClusterId("") if placement is None else placement.cluster_id


def _with_seqs(now: ClusterState, images: Iterable[ImageId]) -> list[tuple[ImageId, int]]:
    placements = ((image_id, now.placement(image_id)) for image_id in images)
    return [(image_id, placement.seq) for image_id, placement in placements if placement is not None]


def _moves(now: ClusterState, images: Sequence[ImageId], *, into: ImageId | None) -> list[Move]:
    """Moves in parts that are each one transaction; without `into` the first makes a cluster that the others enter."""
    parts = _parts(_with_seqs(now, images))
    made: list[Move] = []
    for part in parts:
        if into is None:
            made.append(Move(images=part, to="own"))
            into = part[0][0]
        else:
            made.append(Move(images=part, to="cluster", into=into))
    return made


def _parts(images: Sequence[tuple[ImageId, int]]) -> list[tuple[tuple[ImageId, int], ...]]:
    return [tuple(images[start : start + LARGEST_MOVE]) for start in range(0, len(images), LARGEST_MOVE)]
