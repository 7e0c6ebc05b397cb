"""Candidate search that keeps the search limit. Ports only."""

from collections.abc import Sequence

from neardup.errors import RateLimitedError
from neardup.lanes import Lane
from neardup.ports import CandidateSearch, Clock, SearchLimiter
from neardup.types import CandidateList, ImageId, IndexedImage, Position, Probe
from query.overlap import CANDIDATES_A_REQUEST

__all__ = ["LimitedSearch"]

_PATIENCE_SECONDS = 10.0


class LimitedSearch:
    """The port CandidateSearch in one lane of the limit; a probe is a search. Reading images and the position is free.

    Probes go out in parts: no more than one request to the limiter may ask for, and no more than the search sends at
    once, since a permit is for this moment. When the first part is refused, `search` raises RateLimitedError at once:
    nothing was searched, and the caller knows best how to wait. Later parts are waited for, up to `patience_seconds` in
    all, because giving up would throw away what was searched; a caller whose batches are not larger than one request
    may ask for never sees that happen.
    """

    def __init__(
        self,
        search: CandidateSearch,
        limiter: SearchLimiter,
        lane: Lane,
        *,
        clock: Clock,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._search = search
        self._limiter = limiter
        self._lane = lane
        self._clock = clock
        self._patience = patience_seconds

    def position(self) -> Position:
        return self._search.position()

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        if not probes:
            return self._search.search(probes, limit=limit, minimum_overlap=minimum_overlap)
        size = max(1, min(self._limiter.largest_request(self._lane), CANDIDATES_A_REQUEST // max(1, limit)))
        patience = 0.0
        lists: list[CandidateList] = []
        for start in range(0, len(probes), size):
            part = probes[start : start + size]
            left = self._permitted(len(part), patience)
            lists += self._search.search(part, limit=limit, minimum_overlap=minimum_overlap)
            patience = left if start else self._patience
        return lists

    def images(self, image_ids: Sequence[ImageId]) -> dict[ImageId, IndexedImage]:
        return self._search.images(image_ids)

    def _permitted(self, searches: int, patience: float) -> float:
        """Returns when these searches may start at once: what is left of the patience. Raises RateLimitedError."""
        while wait := self._limiter.acquire(self._lane, searches):
            if wait > patience:
                raise RateLimitedError(
                    f"search limit reached (lane {self._lane}): retry after {wait:.2f} s", retry_after_seconds=wait
                )
            self._clock.sleep(wait)
            patience -= wait
        return patience
