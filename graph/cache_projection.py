"""The head cache as a projection: where it begins when Redis has lost everything. Ports only."""

from collections.abc import Sequence
from typing import Final

import structlog

from neardup.entries import Entry
from neardup.ports import ClusterStore, HeadCache
from neardup.types import Position

__all__ = ["REPLAYED", "CacheProjection"]

_log = structlog.get_logger("cache")

REPLAYED: Final = 1_000_000
"""Up to so many entries an empty cache is made again from the ledger, half a minute or so. Of a longer ledger most
entries are about images that nobody asks for: then it begins empty where the graph is, and look-ups fill it."""


class CacheProjection:
    """The port Projection over a HeadCache."""

    def __init__(self, cache: HeadCache, store: ClusterStore, *, replayed: int = REPLAYED) -> None:
        self._cache = cache
        self._store = store
        self._replayed = replayed

    def position(self) -> Position:
        """Where the cache is; an empty one of a long ledger is first put where the graph is."""
        position = self._cache.position()
        if position.seq == 0:
            applied = self._store.position()
            if applied.seq > self._replayed:
                _log.warning("the head cache is empty and begins where the graph is", seq=applied.seq)
                self._cache.begin(applied)
                return self._cache.position()
        return position

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        """See Projection."""
        self._cache.apply(entries, upto=upto)

    def vouch(self, seq: int, *, seconds_ago: float) -> None:
        """See HeadCache."""
        self._cache.vouch(seq, seconds_ago=seconds_ago)
