"""Image -> head: the cache first, the graph for what the cache does not know. Ports only."""

from collections.abc import Sequence

import structlog

from neardup.errors import CacheUnavailableError
from neardup.ports import ClusterStore, HeadCache
from neardup.types import ImageId, Placement

__all__ = ["Heads"]

_log = structlog.get_logger("heads")


class Heads:
    """Where images are, with low latency. Losing the cache costs latency only."""

    def __init__(self, store: ClusterStore, cache: HeadCache) -> None:
        self._store = store
        self._cache = cache

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        """Where these images are; ids never decided are absent. Raises ClusterStoreUnavailableError."""
        try:
            found = self._cache.placements(image_ids)
        except CacheUnavailableError as exc:
            _log.warning("head cache unavailable, reading the graph", error=str(exc))
            return self._store.placements(image_ids)
        missing = [image_id for image_id in image_ids if image_id not in found]
        if not missing:
            return found
        # The position first: what is read afterwards is at least that new.
        read_at = self._store.position().seq
        stored = self._store.placements(missing)
        if stored:
            try:
                self._cache.fill(list(stored.values()), read_at=read_at)
            except CacheUnavailableError as exc:
                _log.warning("head cache unavailable, not filled", error=str(exc))
        return found | stored
