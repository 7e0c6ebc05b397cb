"""The clusters as they were at some seq of the ledger. Ports only."""

from neardup.errors import UnknownImageError
from neardup.ports import History
from neardup.types import ClusterId, ImageId, MemberOrder, Page, PastCluster, Placement

__all__ = ["PastImages"]


class PastImages:
    """What `SimilarImages` says of images and clusters, as of `seq`: it equals the ledger folded up to there."""

    def __init__(self, history: History, seq: int) -> None:
        self._history = history
        self.seq = seq

    @classmethod
    def at(cls, history: History, at_ms: int) -> "PastImages":
        """As of a moment, milliseconds since the epoch: nothing that was proposed or commanded later is in it."""
        return cls(history, history.last_seq_at(at_ms))

    def placement(self, image_id: ImageId) -> Placement | None:
        """Where the image was; None when it was not decided yet, or erased. Raises HistoryBehindError."""
        return self._history.placements_at([image_id], seq=self.seq).get(image_id)

    def cluster(self, image_or_cluster: str) -> PastCluster:
        """The cluster that this image was in, or the one that this id stood for. Raises UnknownImageError,
        HistoryBehindError."""
        placement = self.placement(ImageId(image_or_cluster))
        cluster_id = placement.cluster_id if placement else ClusterId(image_or_cluster)
        cluster = self._history.cluster_at(cluster_id, seq=self.seq)
        if cluster is None:
            raise UnknownImageError(f"{image_or_cluster!r} was neither an image nor a cluster at seq {self.seq}")
        return cluster

    def members(
        self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
    ) -> Page:
        """One page of the members it had; `after` is the cursor of the page before, which must have been of the same
        seq and order."""
        return self._history.members_at(cluster_id, seq=self.seq, after=after, limit=limit, order=order)
