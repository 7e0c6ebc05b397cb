"""What an entry of the ledger is as a message of the log of moves. Pure."""

from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.messages import ClusterMove, MoveKind
from neardup.types import ClusterId, ImageId

__all__ = ["move_of"]


def move_of(entry: Entry) -> ClusterMove | None:
    """The message about an entry that changes a member or a head of some cluster; None for any other."""
    move: ClusterMove | None = None
    match entry:
        case Decision() if entry.previous_seq is None or entry.previous_cluster is not None:
            move = _move(entry, "joined", entry.cluster_id, image=entry.image_id, other=entry.previous_cluster)
        case HeadChanged():
            move = _move(entry, "head-changed", entry.cluster_id)
        case ClusterMerged():
            move = _move(entry, "cluster-merged", entry.into, other=entry.cluster_id)
        case ClusterUnmerged():
            move = _move(entry, "cluster-unmerged", entry.cluster_id, other=entry.out_of)
        case ImageErased():
            move = _move(entry, "image-erased", entry.cluster_id, image=entry.image_id)
        case _:
            pass
    return move


def _move(
    entry: Decision | HeadChanged | ClusterMerged | ClusterUnmerged | ImageErased,
    kind: MoveKind,
    cluster_id: ClusterId | None,
    *,
    image: ImageId | None = None,
    other: ClusterId | None = None,
) -> ClusterMove:
    return ClusterMove(
        seq=entry.seq,
        kind=kind,
        image_id=image,
        cluster_id=cluster_id,
        other_cluster_id=other,
        head=entry.head,
        rule=entry.rule if isinstance(entry, Decision) else None,
        actor=entry.actor,
        reason=entry.reason,
        at_ms=entry.at_ms,
    )
