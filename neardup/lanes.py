"""The search limit in numbers: how it is divided into lanes, and an exact sliding window. Pure, time is passed in.

Lanes take nothing from one another. Together they never have more than the limit.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "ANSWER_WITHIN_SECONDS",
    "LANES",
    "SLACK_SECONDS",
    "WINDOW_SECONDS",
    "Lane",
    "LaneLimits",
    "LaneState",
    "SlidingWindow",
    "lane_limits",
]

Lane = Literal["ingest", "interactive", "reprocess"]
LANES: Final[tuple[Lane, ...]] = ("ingest", "interactive", "reprocess")

SLACK_SECONDS: Final = 0.05
"""Longest time from a permit to the start of its searches."""

ANSWER_WITHIN_SECONDS: Final = 0.03
"""The part of the slack in which the permit must have arrived; the rest is for handing it over."""

WINDOW_SECONDS: Final = 1.0 + SLACK_SECONDS
"""Permits are counted over this time; so the searches, each started within the slack, keep the limit in any second."""

_REQUESTS_A_LANE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """Searches a second of each lane, over all processes. `processes`: into how many equal shares a lane is divided
    while Redis is away."""

    ingest: int
    interactive: int
    reprocess: int
    processes: int

    def limit(self, lane: Lane) -> int:
        """Searches a second of a lane."""
        return {"ingest": self.ingest, "interactive": self.interactive, "reprocess": self.reprocess}[lane]

    def share(self, lane: Lane) -> int:
        """Searches a second of one process while Redis is away; 0 when the lane has fewer than there are processes."""
        return self.limit(lane) // self.processes

    def largest_request(self, lane: Lane) -> int:
        """The most searches one request may ask for: a part of the limit, so that large requests find room beside small
        ones, and never more than the static share, so that the same request can be granted with and without Redis."""
        return max(1, min(self.limit(lane) // _REQUESTS_A_LANE, self.share(lane)))

    def require_possible(self, lane: Lane, searches: int) -> None:
        """Raises ValueError for a request that could never be granted."""
        if not 1 <= searches <= self.largest_request(lane):
            raise ValueError(f"searches: {searches} is not between 1 and {self.largest_request(lane)} (lane {lane})")


def lane_limits(limit: int, *, interactive_share: float, reprocess_share: float, processes: int) -> LaneLimits:
    """The limit in lanes: each share rounded down, at least 1; ingest gets the rest. Raises ValueError when that is
    nothing."""
    interactive, reprocess = (max(1, int(limit * share + 1e-9)) for share in (interactive_share, reprocess_share))
    ingest = limit - interactive - reprocess
    if ingest < 1:
        raise ValueError(
            f"interactive_share {interactive_share} and reprocess_share {reprocess_share} leave nothing for ingest: "
            f"{interactive} + {reprocess} of {limit} searches a second; together they must be less than 1"
        )
    return LaneLimits(ingest=ingest, interactive=interactive, reprocess=reprocess, processes=processes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """One lane now. `used`: searches permitted in the last second by all processes, None while that cannot be known.
    `share`: searches a second of each process without Redis. `shared`: whether the limit is shared through Redis."""

    lane: Lane
    limit: int
    used: int | None
    share: int
    shared: bool


class SlidingWindow:
    """At most `limit` in any WINDOW_SECONDS, exactly: every grant is remembered until it has left the window."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._grants: deque[tuple[float, int]] = deque()
        self._used = 0

    def take(self, searches: int, now: float) -> float:
        """0.0: granted. Else nothing is granted, and these are the seconds until there is room (infinite for more than
        the limit). `now` in seconds, never less than before."""
        while self._grants and self._grants[0][0] <= now - WINDOW_SECONDS:
            self._used -= self._grants.popleft()[1]
        missing = self._used + searches - self._limit
        if missing <= 0:
            self._grants.append((now, searches))
            self._used += searches
            return 0.0
        for granted_at, count in self._grants:
            missing -= count
            if missing <= 0:
                return granted_at + WINDOW_SECONDS - now
        return float("inf")

    def used(self, now: float) -> int:
        """How many were granted in the last second."""
        return sum(count for granted_at, count in self._grants if granted_at > now - 1.0)
