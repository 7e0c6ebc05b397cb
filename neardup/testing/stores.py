"""Cluster store and head cache in memory."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from neardup.clusters import ClusterState, placement_of, require_consecutive
from neardup.errors import CacheBehindError, ClusterConflictError
from neardup.types import ClusterId, ClusterInfo, Decision, ImageId, Page, Placement, Position

__all__ = ["InMemoryClusterStore", "InMemoryHeadCache"]


class InMemoryClusterStore:
    """The port ClusterStore: the ledger folded, and kept to fold it again when a batch is refused half way."""

    def __init__(self) -> None:
        self._applied: list[Decision] = []
        self._state = ClusterState()
        self._position = Position()

    def position(self) -> Position:
        return self._position

    def apply(self, decisions: Sequence[Decision], *, upto: Position) -> None:
        require_consecutive(decisions, upto)
        if not decisions:
            return
        try:
            for decision in decisions:
                self._state.apply(decision)
        except ClusterConflictError:
            self._state = ClusterState(self._applied)
            raise
        self._applied += decisions
        self._position = upto

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        found = (self._state.placement(image_id) for image_id in image_ids)
        return {placement.image_id: placement for placement in found if placement is not None}

    def clusters(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo]:
        found = (self._state.cluster(cluster_id) for cluster_id in cluster_ids)
        return {info.cluster_id: info for info in found if info is not None}

    def members(self, cluster_id: ClusterId, *, after: int = 0, limit: int = 100) -> Page:
        return self._state.members(cluster_id, after=after, limit=limit)

    def placements_all(self) -> Iterator[Placement]:
        return iter(list(self._state.placements()))


class InMemoryHeadCache:
    """The port HeadCache; placements do not expire. `stale_seconds` None: it is read whoever vouches."""

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
        self._heads: dict[ClusterId, tuple[int, ImageId]] = {}
        self._position = Position()
        self._vouched: float | None = None

    def position(self) -> Position:
        return self._position

    def apply(self, decisions: Sequence[Decision], *, upto: Position) -> None:
        require_consecutive(decisions, upto)
        if not decisions:
            return
        if decisions[0].seq != self._position.seq + 1:
            raise ClusterConflictError(f"seq {decisions[0].seq}: the applied seq of the cache is {self._position.seq}")
        for decision in decisions:
            self._remember(placement_of(decision), head_seq=decision.seq)
        self._position = upto

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement | None]:
        now, stale = self._monotonic(), self._stale_seconds
        if stale is not None and (self._vouched is None or now - self._vouched > stale):
            raise CacheBehindError(f"nobody vouches that it had everything {stale:g} s ago")
        known: dict[ImageId, Placement | None] = {
            image_id: None for image_id in image_ids if self._absent.get(image_id, (0, now))[1] > now
        }
        return known | {
            image_id: replace(stored, head=self._heads[stored.cluster_id][1])
            for image_id in image_ids
            if (stored := self._images.get(image_id))
        }

    def fill(self, placements: Sequence[Placement], *, absent: Sequence[ImageId] = (), read_at: int) -> None:
        if self._position.seq > read_at:
            return
        for placement in placements:
            self._remember(placement, head_seq=read_at)
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

    def clear(self) -> None:
        self._images.clear()
        self._absent.clear()
        self._heads.clear()
        self._position = Position()
        self._vouched = None

    def _remember(self, placement: Placement, *, head_seq: int) -> None:
        stored = self._images.get(placement.image_id)
        seq, until = self._absent.get(placement.image_id, (0, 0.0))
        if until > self._monotonic() and seq > placement.seq:
            return
        self._absent.pop(placement.image_id, None)
        if stored is None or stored.seq <= placement.seq:
            self._images[placement.image_id] = placement
        if self._heads.get(placement.cluster_id, (0, ""))[0] <= head_seq:
            self._heads[placement.cluster_id] = (head_seq, placement.head)
