"""Ledgers for tests, from steps that are always allowed."""

from collections.abc import Iterable
from typing import Any

from neardup.clusters import ClusterState
from neardup.entries import (
    ASSIGNER,
    ClusterMerged,
    ClusterQuarantined,
    ClusterUnmerged,
    Decision,
    Entry,
    Evidence,
    HeadChanged,
    ImageErased,
    Rule,
)
from neardup.types import ClusterId, ImageId, Position, Source

__all__ = ["STEPS", "entries_of", "ledger_of", "make_decision", "position_of"]

STEPS = ("place", "merge", "unmerge", "promote", "erase", "quarantine")
"""What `entries_of` can do with a step."""

_EVIDENCE = frozenset(
    {"matches", "bridges", "barred", "match_threshold", "witness_bound", "head_bound", "head_score", "lsh_version"}
    | {"model_version", "source"}
)


def make_decision(seq: int, image_id: str, cluster_id: str, **changes: Any) -> Decision:
    """A decision with plain values wherever `changes` says nothing, those of its evidence included; the cluster's head
    is its first one."""
    evidence: dict[str, Any] = {
        "matches": (),
        "bridges": (),
        "match_threshold": 0.5,
        "witness_bound": 0.45,
        "head_bound": 0.4,
        "head_score": None,
        "lsh_version": "000000000000",
        "model_version": 1,
        "source": Source(topic="test.images", partition=0, offset=seq - 1),
    } | {name: value for name, value in changes.items() if name in _EVIDENCE}
    values: dict[str, Any] = {
        "version": 1,
        "run": 0,
        "segment": ClusterId(cluster_id),
        "head": ImageId(cluster_id),
        "previous_cluster": None,
        "previous_seq": None,
        "rule": "no-candidate" if image_id == cluster_id else "best-match",
        "indexed": True,
        "evidence": Evidence(**evidence),
        "proposal_offset": seq - 1,
        "actor": ASSIGNER,
        "at_ms": 1_700_000_000_000 + seq,
    } | {name: value for name, value in changes.items() if name not in _EVIDENCE}
    return Decision(seq=seq, image_id=ImageId(image_id), cluster_id=ClusterId(cluster_id), **values)


def position_of(entry: Entry) -> Position:
    """The position of an entry in a ledger topic that has nothing but entries."""
    return Position(seq=entry.seq, ledger_offset=entry.seq - 1, proposal_offset=entry.proposal_offset)


def ledger_of(moves: Iterable[tuple[str, str]]) -> list[Decision]:
    """The decisions of moves (image, partner): the image goes to the partner's cluster, or makes its own when the
    partner is itself or not there yet. A head that has members stays. Each coming is a new version. Every third joins
    without being indexed."""
    made = entries_of(("place", image_id, partner) for image_id, partner in moves)
    return [entry for entry in made if isinstance(entry, Decision)]


def entries_of(steps: Iterable[tuple[str, str, str]]) -> list[Entry]:
    """The entries of steps (what, image, partner), see `STEPS` and `ledger_of`; what is not possible is left out."""
    state = ClusterState()
    entries: list[Entry] = []
    for what, image_id, partner in steps:
        if what == "place":
            entry: Entry | None = _place(state, ImageId(image_id), ImageId(partner))
        else:
            entry = _by_person(state, what, ImageId(image_id), ImageId(partner))
        if entry is not None:
            state.apply(entry)
            entries.append(entry)
    return entries


def _place(state: ClusterState, image_id: ImageId, partner: ImageId) -> Decision:
    seq = state.seq + 1
    before, target = state.placement(image_id), state.placement(partner)
    own = None if before is None else state.cluster(before.cluster_id)
    rule: Rule = "best-match"
    if before is not None and own is not None and own.head == image_id and own.size > 1:
        cluster_id, rule = before.cluster_id, "head-kept"
    elif target is not None and partner != image_id:
        cluster_id = target.cluster_id
    else:
        rule = "no-candidate"
        if before is not None and own is not None and own.size == 1:
            cluster_id = before.cluster_id
        else:
            taken = state.cluster(ClusterId(image_id)) is not None
            cluster_id = ClusterId(f"{image_id}#{seq}" if taken else image_id)
    info = state.cluster(cluster_id)
    stays = before is not None and before.cluster_id == cluster_id
    return make_decision(
        seq,
        image_id,
        cluster_id,
        version=before.version + 1 if before else 1,
        segment=before.segment if before and stays else cluster_id,
        head=info.head if info else image_id,
        previous_cluster=None if before is None or stays else before.cluster_id,
        previous_seq=before.seq if before else None,
        rule=rule,
        indexed=rule != "best-match" or seq % 3 != 0,
    )


def _by_person(state: ClusterState, what: str, image_id: ImageId, partner: ImageId) -> Entry | None:
    placed, other = state.placement(image_id), state.placement(partner)
    cluster = None if placed is None else state.cluster(placed.cluster_id)
    if placed is None or cluster is None:
        return None
    seq = state.seq + 1
    said: dict[str, Any] = {
        "seq": seq,
        "actor": "somebody",
        "reason": "a test",
        "command_id": f"00000000-0000-0000-0000-{seq:012}",
        "proposal_offset": seq - 1,
        "at_ms": 1_700_000_000_000 + seq,
    }
    entry: Entry | None = None
    match what:
        case "promote" if cluster.head != image_id:
            entry = HeadChanged(**said, cluster_id=cluster.cluster_id, head=image_id, previous_head=cluster.head)
        case "quarantine":
            entry = ClusterQuarantined(**said, cluster_id=cluster.cluster_id, on=seq % 2 == 0)
        case "erase":
            members = [member.image_id for member in state.members(cluster.cluster_id).members]
            left = [member for member in members if member != image_id]
            head = left[0] if left and cluster.head == image_id else cluster.head if left else None
            entry = ImageErased(
                **said, image_id=image_id, cluster_id=cluster.cluster_id, head=head, previous_seq=placed.seq
            )
        case "merge" if other is not None and other.cluster_id != cluster.cluster_id:
            entry = ClusterMerged(
                **said,
                cluster_id=cluster.cluster_id,
                into=other.cluster_id,
                head=other.head,
                segments=(*cluster.merged, cluster.cluster_id),
            )
        case "unmerge" if placed.segment != cluster.cluster_id:
            entry = _unmerged(state, placed.segment, cluster.cluster_id, said)
    return entry


def _unmerged(state: ClusterState, segment: ClusterId, root: ClusterId, said: dict[str, Any]) -> Entry | None:
    segments = state.segments(root)
    parents = {part.cluster_id: part.parent for part in segments}

    def inside(part: ClusterId | None) -> bool:
        return part is not None and (part == segment or inside(parents[part]))

    taken = [part for part in segments if inside(part.cluster_id)]
    head = next(part.first for part in taken if part.first is not None)
    info = state.cluster(root)
    held = None if info is None else state.placement(info.head)
    left = sum(part.size for part in segments) - sum(part.size for part in taken)
    if left == 0 or held is None or inside(held.segment):
        return None
    return ClusterUnmerged(
        **said, cluster_id=segment, out_of=root, head=head, segments=tuple(part.cluster_id for part in taken)
    )
