"""The search limit that all processes share: through Redis, and in static shares while Redis is away. Ports only.

Why no second ever has more searches than the limit, counted where they start:

- Redis permits at most the limit in any WINDOW_SECONDS, which is one second and SLACK_SECONDS.
- A search starts within the slack after its permit. A permit whose answer took longer than ANSWER_WITHIN_SECONDS is not
  used; another is asked for. That costs permits and exceeds nothing.
- When Redis goes away, a process first lets one window pass, in which what Redis permitted is over. From then on it has
  its static share, and `processes` shares are not more than the limit.
- When Redis is back, it permits nothing until every process has noticed, and one window longer: after a restart by its
  own uptime, else because the first process that comes back asks for it.

What it cannot see: a process that alone is cut off from Redis has its share on top of what the others get; so have more
processes than `processes` while Redis is away. And the clock of the Redis host must not be set forward.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from neardup.errors import CacheUnavailableError
from neardup.lanes import ANSWER_WITHIN_SECONDS, LANES, WINDOW_SECONDS, Lane, LaneLimits, LaneState, SlidingWindow

__all__ = ["SharedLanes", "SharedSearchLimiter"]

_log = structlog.get_logger("search-limit")
_LONGEST_JITTER_SECONDS = 0.005
_TRIES_FOR_A_FRESH_PERMIT = 3
_QUIET_SECONDS = 10.0


class SharedLanes(Protocol):
    """Lanes that all processes see. Every method raises CacheUnavailableError."""

    def acquire(self, lane: Lane, searches: int, *, limit: int, notice_seconds: float, name: str) -> float:
        """0.0: all permitted, and counted for WINDOW_SECONDS. Else the seconds until there is room. Permits nothing in
        the first `notice_seconds` after a restart. Who has a `name` and is refused comes before all later ones, if it
        asks again in time; with an empty one it is first come, first served."""
        ...

    def hold(self, *, first_seconds: float, later_seconds: float) -> None:
        """For one who comes back: permit nothing for `first_seconds`, and when it is held already, for at least
        `later_seconds` from now. Ignored when something was permitted in the last second: it was not away from all."""
        ...

    def used(self, lanes: Sequence[Lane]) -> list[int]:
        """Searches permitted in the last second."""
        ...


class SharedSearchLimiter:
    """The port SearchLimiter. `timeout_seconds`: after this time without an answer Redis counts as away. May be used by
    several threads."""

    def __init__(
        self,
        shared: SharedLanes,
        limits: LaneLimits,
        *,
        timeout_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._limits = limits
        self._now = now
        # A process that has just failed asks again one window later, connecting and reading may each have taken the
        # time-out before; what it searched until then must have left the window.
        self._notice_seconds = WINDOW_SECONDS + 2 * timeout_seconds + WINDOW_SECONDS
        self._name = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._away = False
        self._ask_again_at = float("-inf")
        self._own_from = float("-inf")
        self._own = {lane: SlidingWindow(limits.share(lane)) for lane in LANES}
        self._refused = dict.fromkeys(LANES, 0)
        self._told_at = dict.fromkeys(LANES, float("-inf"))

    def largest_request(self, lane: Lane) -> int:
        return self._limits.largest_request(lane)

    def acquire(self, lane: Lane, searches: int) -> float:
        self._limits.require_possible(lane, searches)
        wait = self._from_redis(lane, searches)
        if wait is None:
            wait = self._from_share(lane, searches)
        return self._later(lane, wait) if wait > 0 else 0.0

    def state(self) -> tuple[LaneState, ...]:
        counts: Sequence[int | None]
        try:
            counts, shared = self._shared.used(LANES), True
        except CacheUnavailableError:
            counts, shared = [None] * len(LANES), False
        limits = self._limits
        return tuple(
            LaneState(lane=lane, limit=limits.limit(lane), used=used, share=limits.share(lane), shared=shared)
            for lane, used in zip(LANES, counts, strict=True)
        )

    def _from_redis(self, lane: Lane, searches: int) -> float | None:
        """As `acquire`; None while Redis is away."""
        if self._now() < self._ask_again_at:
            return None
        for _ in range(_TRIES_FOR_A_FRESH_PERMIT):
            asked_at = self._now()
            try:
                if self._away:
                    self._shared.hold(first_seconds=self._notice_seconds, later_seconds=WINDOW_SECONDS)
                wait = self._shared.acquire(
                    lane,
                    searches,
                    limit=self._limits.limit(lane),
                    notice_seconds=self._notice_seconds,
                    # Who asks interactively may never come back; a place kept for it would be lost to the others.
                    name="" if lane == "interactive" else f"{self._name}-{threading.get_ident()}",
                )
            except CacheUnavailableError as exc:
                self._went_away(exc)
                return None
            self._came_back()
            if wait > 0:
                return wait
            if self._now() - asked_at <= ANSWER_WITHIN_SECONDS:
                return 0.0
        # Only permits that came too late: this machine or Redis is overloaded.
        return ANSWER_WITHIN_SECONDS

    def _from_share(self, lane: Lane, searches: int) -> float:
        with self._lock:
            now = self._now()
            if now < self._own_from:
                return self._own_from - now
            if searches > self._limits.share(lane):
                return max(self._ask_again_at - now, ANSWER_WITHIN_SECONDS)
            return self._own[lane].take(searches, now)

    def _went_away(self, error: CacheUnavailableError) -> None:
        with self._lock:
            now = self._now()
            self._ask_again_at = now + WINDOW_SECONDS
            if self._away:
                return
            self._away = True
            # Until then what Redis permitted may still be in use, here and in other processes.
            self._own_from = now + WINDOW_SECONDS
        shares = {lane: self._limits.share(lane) for lane in LANES}
        _log.warning("Redis is away, each process keeps a static share of the limit", error=str(error), shares=shares)

    def _came_back(self) -> None:
        with self._lock:
            if not self._away:
                return
            self._away = False
            self._ask_again_at = float("-inf")
        _log.info("Redis is back, the search limit is shared again")

    def _later(self, lane: Lane, wait: float) -> float:
        """Notes that the lane is exhausted; the delay with jitter, so that nobody is always the first to ask again."""
        with self._lock:
            now = self._now()
            self._refused[lane] += 1
            tell = now - self._told_at[lane] >= _QUIET_SECONDS
            if tell:
                refused, self._refused[lane], self._told_at[lane] = self._refused[lane], 0, now
        if tell:
            limit = self._limits.limit(lane) if not self._away else self._limits.share(lane)
            _log.info("search limit reached", lane=lane, limit=limit, refused=refused, retry_after=round(wait, 3))
        return wait + random.uniform(0, _LONGEST_JITTER_SECONDS)  # noqa: S311 - spreads retries, guards nothing
