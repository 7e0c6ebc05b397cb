"""The history in memory: the ledger kept, and folded anew for every question about the past."""

from collections import Counter
from collections.abc import Sequence

from neardup.clusters import ClusterState, require_consecutive
from neardup.entries import Decision, Entry, clusters_of, images_of
from neardup.errors import ClusterConflictError, HistoryBehindError
from neardup.types import ClusterId, ImageId, MemberOrder, Page, PastCluster, Placement, Position

__all__ = ["InMemoryHistory"]


class InMemoryHistory:
    """The port History."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._position = Position()

    def position(self) -> Position:
        return self._position

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        require_consecutive(entries, upto)
        if not entries:
            return
        if entries[0].seq != self._position.seq + 1:
            raise ClusterConflictError(f"seq {entries[0].seq}: the applied seq of the history is {self._position.seq}")
        self._entries += entries
        self._position = upto

    def entries(self, names: Sequence[str], *, before: int | None = None, limit: int = 100) -> tuple[Entry, ...]:
        found = [entry for entry in self._entries if _names(entry) & set(names)]
        return tuple(entry for entry in reversed(found) if before is None or entry.seq < before)[:limit]

    def following(self, cluster_ids: Sequence[ClusterId], *, after: int, limit: int = 100) -> tuple[Entry, ...]:
        found = [entry for entry in self._entries if entry.seq > after and set(clusters_of(entry)) & set(cluster_ids)]
        return tuple(found[:limit])

    def growth(self, since_ms: int, *, limit: int = 100) -> dict[ClusterId, int]:
        joined = Counter(
            entry.cluster_id
            for entry in self._entries
            if isinstance(entry, Decision)
            and entry.at_ms >= since_ms
            and (entry.previous_seq is None or entry.previous_cluster is not None)
        )
        return dict(joined.most_common(limit))

    def last_seq_at(self, at_ms: int) -> int:
        later = [entry.seq for entry in self._entries if entry.at_ms > at_ms]
        return later[0] - 1 if later else self._position.seq

    def placements_at(self, image_ids: Sequence[ImageId], *, seq: int) -> dict[ImageId, Placement]:
        state = self._folded(seq)
        found = (state.placement(image_id) for image_id in image_ids)
        return {placement.image_id: placement for placement in found if placement is not None}

    def cluster_at(self, cluster_id: ClusterId, *, seq: int) -> PastCluster | None:
        info = self._folded(seq).cluster(cluster_id)
        return (
            None if info is None else PastCluster(cluster_id=info.cluster_id, head=info.head, size=info.size, seq=seq)
        )

    def members_at(
        self,
        cluster_id: ClusterId,
        *,
        seq: int,
        after: str | None = None,
        limit: int = 100,
        order: MemberOrder = "oldest",
    ) -> Page:
        return self._folded(seq).members(cluster_id, after=after, limit=limit, order=order)

    def _folded(self, seq: int) -> ClusterState:
        if seq > self._position.seq:
            raise HistoryBehindError(f"the history has applied seq {self._position.seq}, not yet {seq}")
        return ClusterState(self._entries[:seq])


def _names(entry: Entry) -> set[str]:
    return {*images_of(entry), *clusters_of(entry)}
