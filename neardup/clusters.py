"""The ledger folded: which image is in which cluster. Pure; the reference that every projection must equal."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from neardup.errors import ClusterConflictError
from neardup.types import ClusterId, ClusterInfo, Decision, ImageId, Member, Page, Placement, Position

__all__ = ["ClusterState", "placement_of", "require_consecutive"]


def require_consecutive(decisions: Sequence[Decision], upto: Position) -> None:
    """Raises ValueError unless the decisions are without a gap and `upto` is the position of the last."""
    for previous, decision in pairwise(decisions):
        if decision.seq != previous.seq + 1:
            raise ValueError(f"decisions: seq {decision.seq} follows {previous.seq}")
    if decisions and upto.seq != decisions[-1].seq:
        raise ValueError(f"upto: seq {upto.seq}, but the last decision has {decisions[-1].seq}")


def placement_of(decision: Decision) -> Placement:
    """Where a decision puts its image."""
    return Placement(
        image_id=decision.image_id,
        cluster_id=decision.cluster_id,
        head=decision.head,
        version=decision.version,
        run=decision.run,
        seq=decision.seq,
        indexed=decision.indexed,
    )


@dataclass(slots=True)
class _Cluster:
    head: ImageId
    since: int
    exemplars: int = 0
    members: dict[ImageId, int] = field(default_factory=dict)
    """Member seqs; in ascending order, since members only come in at the end."""


@dataclass(frozen=True, slots=True)
class _Image:
    cluster_id: ClusterId
    version: int
    run: int
    seq: int
    indexed: bool


class ClusterState:
    """All clusters after the decisions applied so far.

    An image leaves the cluster it is in and enters the decided one with the decision's seq as member seq. If it stays
    in its cluster it keeps its member seq, so that pages stay stable. The first member makes a cluster, and makes it
    anew after it was empty; `decision.head` is its head from then on.
    """

    def __init__(self, decisions: Iterable[Decision] = ()) -> None:
        self.seq = 0
        self._clusters: dict[ClusterId, _Cluster] = {}
        self._images: dict[ImageId, _Image] = {}
        for decision in decisions:
            self.apply(decision)

    def apply(self, decision: Decision) -> None:
        """Raises ClusterConflictError, with nothing changed, when the seq is not the next one or when a head would
        leave members behind."""
        if decision.seq != self.seq + 1:
            raise ClusterConflictError(f"seq {decision.seq}: the applied seq is {self.seq}")
        image_id = decision.image_id
        placed = self._images.get(image_id)
        if placed is None or placed.cluster_id != decision.cluster_id:
            if placed is not None:
                self._leave(image_id, placed)
            cluster = self._clusters.setdefault(decision.cluster_id, _Cluster(head=decision.head, since=decision.seq))
            cluster.members[image_id] = decision.seq
        else:
            cluster = self._clusters[decision.cluster_id]
            cluster.exemplars -= placed.indexed
        cluster.exemplars += decision.indexed
        cluster.head = decision.head
        self._images[image_id] = _Image(
            cluster_id=decision.cluster_id,
            version=decision.version,
            run=decision.run,
            seq=decision.seq,
            indexed=decision.indexed,
        )
        self.seq = decision.seq

    def placement(self, image_id: ImageId) -> Placement | None:
        """Where the image is; None when it was never decided."""
        placed = self._images.get(image_id)
        if placed is None:
            return None
        return Placement(
            image_id=image_id,
            cluster_id=placed.cluster_id,
            head=self._clusters[placed.cluster_id].head,
            version=placed.version,
            run=placed.run,
            seq=placed.seq,
            indexed=placed.indexed,
        )

    def placements(self) -> Iterator[Placement]:
        """Every placement, in the order in which images came first."""
        for image_id in self._images:
            placement = self.placement(image_id)
            if placement is not None:
                yield placement

    def cluster(self, cluster_id: ClusterId) -> ClusterInfo | None:
        """The cluster; None when it is unknown or empty."""
        cluster = self._clusters.get(cluster_id)
        if cluster is None:
            return None
        return ClusterInfo(
            cluster_id=cluster_id,
            head=cluster.head,
            size=len(cluster.members),
            since=cluster.since,
            exemplars=cluster.exemplars,
        )

    def clusters(self) -> Iterator[ClusterInfo]:
        """Every cluster, the oldest first."""
        for cluster_id in self._clusters:
            cluster = self.cluster(cluster_id)
            if cluster is not None:
                yield cluster

    def members(self, cluster_id: ClusterId, *, after: int = 0, limit: int | None = None) -> Page:
        """The members with a member seq > `after`, in order; all of them when `limit` is None."""
        cluster = self._clusters.get(cluster_id)
        if cluster is None:
            return Page(members=(), after=None)
        ids, seqs = list(cluster.members), list(cluster.members.values())
        start = bisect_right(seqs, after)
        stop = len(ids) if limit is None else min(len(ids), start + limit)
        return Page(
            members=tuple(Member(image_id=ids[i], seq=seqs[i]) for i in range(start, stop)),
            after=seqs[stop - 1] if start < stop < len(ids) else None,
        )

    def _leave(self, image_id: ImageId, placed: _Image) -> None:
        cluster = self._clusters[placed.cluster_id]
        if cluster.head == image_id and len(cluster.members) > 1:
            raise ClusterConflictError(f"image {image_id!r} is the head of a cluster with other members")
        del cluster.members[image_id]
        cluster.exemplars -= placed.indexed
        if not cluster.members:
            del self._clusters[placed.cluster_id]
