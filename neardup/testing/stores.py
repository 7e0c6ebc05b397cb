"""Cluster store and head cache in memory."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from neardup.clusters import ClusterState, placement_of, require_consecutive
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.errors import CacheBehindError, ClusterConflictError
from neardup.types import ClusterId, ClusterInfo, ImageId, MemberOrder, Page, Placement, Position, Segment, Whereabouts

__all__ = ["InMemoryClusterStore", "InMemoryHeadCache"]


class InMemoryClusterStore:
    """The port ClusterStore: the ledger folded, and kept to fold it again when a batch is refused half way."""

    def __init__(self) -> None:
        self._applied: list[Entry] = []
        self._state = ClusterState()
        self._position = Position()

    def position(self) -> Position:
        return self._position

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        require_consecutive(entries, upto)
        if not entries:
            return
        try:
            for entry in entries:
                self._state.apply(entry)
        except ClusterConflictError:
            self._state = ClusterState(self._applied)
            raise
        self._applied += entries
        self._position = upto

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        found = (self._state.placement(image_id) for image_id in image_ids)
        return {placement.image_id: placement for placement in found if placement is not None}

    def whereabouts(self, image_ids: Sequence[ImageId]) -> Whereabouts:
        position, placements = self.position(), self.placements(image_ids)
        held = dict.fromkeys(placement.cluster_id for placement in placements.values())
        return Whereabouts(position=position, placements=placements, clusters=self.clusters(list(held)))

    def clusters(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo]:
        found = {cluster_id: self._state.cluster(cluster_id) for cluster_id in cluster_ids}
        return {cluster_id: info for cluster_id, info in found.items() if info is not None}

    def segments(self, cluster_id: ClusterId) -> tuple[Segment, ...]:
        return self._state.segments(cluster_id)

    def members(
        self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
    ) -> Page:
        return self._state.members(cluster_id, after=after, limit=limit, order=order)

    def placements_all(self) -> Iterator[Placement]:
        return iter(list(self._state.placements()))


class InMemoryHeadCache:
    """The port HeadCache: image -> segment -> root -> head. Placements do not expire. `stale_seconds` None: it is read
    whoever vouches."""

    def __init__(
        self,
        *,
        absent_seconds: float = 1.0,
        stale_seconds: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._absent_seconds = absent_seconds
        self._stale_seconds = stale_seconds
        self._monotonic = monotonic
        self._images: dict[ImageId, Placement] = {}
        self._absent: dict[ImageId, tuple[int, float]] = {}
        self._roots: dict[ClusterId, tuple[int, ClusterId]] = {}
        self._heads: dict[ClusterId, tuple[int, ImageId]] = {}
        self._position = Position()
        self._vouched: float | None = None

    def position(self) -> Position:
        return self._position

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        require_consecutive(entries, upto)
        if not entries:
            return
        if entries[0].seq != self._position.seq + 1:
            raise ClusterConflictError(f"seq {entries[0].seq}: the applied seq of the cache is {self._position.seq}")
        for entry in entries:
            self._apply(entry)
        self._position = upto

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement | None]:
        now, stale = self._monotonic(), self._stale_seconds
        if stale is not None and (self._vouched is None or now - self._vouched > stale):
            raise CacheBehindError(f"nobody vouches that it had everything {stale:g} s ago")
        known: dict[ImageId, Placement | None] = {
            image_id: None for image_id in image_ids if self._absent.get(image_id, (0, now))[1] > now
        }
        return known | {
            image_id: found
            for image_id in image_ids
            if (stored := self._images.get(image_id)) and (found := self._resolved(stored))
        }

    def fill(self, placements: Sequence[Placement], *, absent: Sequence[ImageId] = (), read_at: int) -> None:
        if self._position.seq > read_at:
            return
        for placement in placements:
            self._remember(placement, read_at)
        for image_id in absent:
            stored = self._images.get(image_id)
            if stored is None or stored.seq <= read_at:
                self._images.pop(image_id, None)
                self._absent[image_id] = (read_at, self._monotonic() + self._absent_seconds)

    def vouch(self, seq: int, *, seconds_ago: float) -> None:
        if self._position.seq >= seq:
            self._vouched = self._monotonic() - seconds_ago

    def begin(self, position: Position) -> None:
        if self._position.seq == 0:
            self.clear()
            self._position = position

    def forget(self, image_ids: Iterable[ImageId], cluster_ids: Iterable[ClusterId]) -> None:
        for image_id in image_ids:
            self._images.pop(image_id, None)
            self._absent.pop(image_id, None)
        for cluster_id in cluster_ids:
            self._roots.pop(cluster_id, None)
            self._heads.pop(cluster_id, None)

    def clear(self, *, upto: Position | None = None) -> None:
        self._images.clear()
        self._absent.clear()
        self._roots.clear()
        self._heads.clear()
        self._position = upto or Position()
        self._vouched = None

    def _resolved(self, stored: Placement) -> Placement | None:
        root = self._roots.get(stored.segment, (0, stored.segment))[1]
        head = self._heads.get(root)
        return None if head is None else replace(stored, cluster_id=root, head=head[1])

    def _apply(self, entry: Entry) -> None:
        match entry:
            case Decision():
                self._remember(placement_of(entry), entry.seq)
            case HeadChanged():
                self._name(entry.cluster_id, entry.head, entry.seq)
            case ClusterMerged():
                self._point(entry.segments, entry.into, entry.seq)
                self._name(entry.into, entry.head, entry.seq)
            case ClusterUnmerged():
                self._point(entry.segments, entry.cluster_id, entry.seq)
                self._name(entry.cluster_id, entry.head, entry.seq)
            case ImageErased():
                self._images.pop(entry.image_id, None)
                if entry.cluster_id is not None and entry.head is not None:
                    self._name(entry.cluster_id, entry.head, entry.seq)
            case _:
                pass

    def _remember(self, placement: Placement, seq: int) -> None:
        stored = self._images.get(placement.image_id)
        absent_at, until = self._absent.get(placement.image_id, (0, 0.0))
        if until > self._monotonic() and absent_at > placement.seq:
            return
        self._absent.pop(placement.image_id, None)
        if stored is None or stored.seq <= placement.seq:
            self._images[placement.image_id] = placement
        self._point([placement.segment], placement.cluster_id, seq)
        self._name(placement.cluster_id, placement.head, seq)

    def _point(self, segments: Sequence[ClusterId], root: ClusterId, seq: int) -> None:
        for segment in segments:
            if self._roots.get(segment, (0, ""))[0] <= seq:
                self._roots[segment] = (seq, root)

    def _name(self, cluster_id: ClusterId, head: ImageId, seq: int) -> None:
        self._point([cluster_id], cluster_id, seq)
        if self._heads.get(cluster_id, (0, ""))[0] <= seq:
            self._heads[cluster_id] = (seq, head)
