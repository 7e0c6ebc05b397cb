"""Ledgers for tests, from moves that are always allowed."""

from collections.abc import Iterable
from typing import Any

from neardup.clusters import ClusterState
from neardup.types import ClusterId, Decision, ImageId, Position, Rule, Source

__all__ = ["ledger_of", "make_decision", "position_of"]


def make_decision(seq: int, image_id: str, cluster_id: str, **changes: Any) -> Decision:
    """A decision with plain values wherever `changes` says nothing; the cluster's head is its first one."""
    values: dict[str, Any] = {
        "version": 1,
        "run": 0,
        "head": ImageId(cluster_id),
        "previous_cluster": None,
        "rule": "no-candidate" if image_id == cluster_id else "best-match",
        "matches": (),
        "bridges": (),
        "match_threshold": 0.5,
        "head_bound": 0.4,
        "head_score": None,
        "lsh_version": "000000000000",
        "model_version": 1,
        "indexed": True,
        "proposal_offset": seq - 1,
        "source": Source(topic="test.images", partition=0, offset=seq - 1),
        "actor": "assigner",
        "at_ms": 1_700_000_000_000 + seq,
    }
    return Decision(seq=seq, image_id=ImageId(image_id), cluster_id=ClusterId(cluster_id), **(values | changes))


def position_of(decision: Decision) -> Position:
    """The position of a decision in a ledger topic that has nothing but decisions."""
    return Position(seq=decision.seq, ledger_offset=decision.seq - 1, proposal_offset=decision.proposal_offset)


def ledger_of(moves: Iterable[tuple[str, str]]) -> list[Decision]:
    """The decisions of moves (image, partner): the image goes to the partner's cluster, or makes its own when the
    partner is itself or not there yet. A head that has members stays. Each coming is a new version. Every third joins
    without being indexed."""
    state = ClusterState()
    decisions = []
    for seq, (image_id, partner) in enumerate(moves, start=1):
        before = state.placement(ImageId(image_id))
        target = state.placement(ImageId(partner))
        cluster_id = target.cluster_id if target and partner != image_id else ClusterId(image_id)
        rule: Rule = "no-candidate" if cluster_id == image_id else "best-match"
        if before is not None:
            own = state.cluster(before.cluster_id)
            if own is not None and own.head == image_id and own.size > 1:
                cluster_id, rule = before.cluster_id, "head-kept"
        info = state.cluster(cluster_id)
        decision = make_decision(
            seq,
            image_id,
            cluster_id,
            version=before.version + 1 if before else 1,
            head=info.head if info else ImageId(image_id),
            previous_cluster=before.cluster_id if before and before.cluster_id != cluster_id else None,
            rule=rule,
            indexed=rule != "best-match" or seq % 3 != 0,
        )
        state.apply(decision)
        decisions.append(decision)
    return decisions
