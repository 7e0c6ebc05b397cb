"""Image -> head: the cache first, the graph for what the cache does not know. Ports only."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from neardup.errors import CacheBehindError, CacheUnavailableError
from neardup.ports import ClusterStore, HeadCache
from neardup.types import ImageId, Placement

__all__ = ["CacheCounts", "Heads"]

_log = structlog.get_logger("heads")

_PAUSE_SECONDS: Final = 1.0
"""After the cache failed, or said that it is behind, it is left alone for so long: a Redis that hangs costs one
time-out a second, and not one a look-up."""


@dataclass(slots=True)
class CacheCounts:
    """What became of the images that were asked for: known to the cache, known by it to be undecided, or read from the
    graph."""

    hits: int = 0
    known_absent: int = 0
    misses: int = 0

    @property
    def hit_rate(self) -> float:
        """Part of the images that the cache answered for; 0 before the first."""
        total = self.hits + self.known_absent + self.misses
        return (self.hits + self.known_absent) / total if total else 0.0


class Heads:
    """Where images are, with low latency. Losing the cache costs latency only.

    Staleness: an answer of the cache lacks no decision that had been in the ledger for the cache's stale time; that an
    image is undecided may be said for the life of a negative entry too long. The graph lags the ledger by what its
    projection needs.
    """

    def __init__(
        self, store: ClusterStore, cache: HeadCache, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._cache = cache
        self._monotonic = monotonic
        self._again_at = 0.0
        self.counts = CacheCounts()

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        """Where these images are; ids never decided are absent. Raises ClusterStoreUnavailableError."""
        known = self._from_cache(image_ids)
        if known is None:
            self.counts.misses += len(image_ids)
            return self._store.placements(image_ids)
        found = {image_id: placement for image_id, placement in known.items() if placement is not None}
        missing = [image_id for image_id in image_ids if image_id not in known]
        self.counts.hits += len(found)
        self.counts.known_absent += len(known) - len(found)
        self.counts.misses += len(missing)
        return found | self._from_store(missing) if missing else found

    def _from_cache(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement | None] | None:
        """What the cache knows; None when it must not be asked, or asked in vain."""
        if self._monotonic() < self._again_at:
            return None
        try:
            return self._cache.placements(image_ids)
        except CacheUnavailableError as exc:
            self._leave_alone(exc)
            return None

    def _from_store(self, missing: Sequence[ImageId]) -> dict[ImageId, Placement]:
        # The position first: what is read afterwards is at least that new.
        read_at = self._store.position().seq
        stored = self._store.placements(missing)
        absent = [image_id for image_id in missing if image_id not in stored]
        try:
            self._cache.fill(list(stored.values()), absent=absent, read_at=read_at)
        except CacheUnavailableError as exc:
            self._leave_alone(exc)
        return stored

    def _leave_alone(self, error: CacheUnavailableError) -> None:
        self._again_at = self._monotonic() + _PAUSE_SECONDS
        # Behind it is whenever no worker runs; nothing is wrong with that.
        if not isinstance(error, CacheBehindError):
            _log.warning("head cache unavailable, reading the graph", error=str(error))
