from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from neardup.errors import CacheUnavailableError
from neardup.lanes import LANES, WINDOW_SECONDS, Lane, LaneLimits
from query.limiter import SharedSearchLimiter

LIMITS = LaneLimits(ingest=40, interactive=20, reprocess=2, processes=4)
TIMEOUT_SECONDS = 0.5
JITTER_SECONDS = 0.005


class Shared:
    """Redis in a test's hand: `waits` are its answers, then it permits everything; an answer takes `takes` seconds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.away = False
        self.calls = 0
        self.takes: list[float] = []
        self.waits: list[float] = []
        self.asked: list[tuple[Lane, int, int, str]] = []
        self.held: list[tuple[float, float]] = []

    def acquire(self, lane: Lane, searches: int, *, limit: int, notice_seconds: float, name: str) -> float:
        self._answer()
        self.asked.append((lane, searches, limit, name))
        return self.waits.pop(0) if self.waits else 0.0

    def hold(self, *, first_seconds: float, later_seconds: float) -> None:
        self._answer()
        self.held.append((first_seconds, later_seconds))

    def used(self, lanes: Sequence[Lane]) -> list[int]:
        self._answer()
        return [7] * len(lanes)

    def _answer(self) -> None:
        self.calls += 1
        self.now += self.takes.pop(0) if self.takes else 0.0
        if self.away:
            raise CacheUnavailableError("gone")


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def limiter(shared: Shared) -> SharedSearchLimiter:
    return SharedSearchLimiter(shared, LIMITS, timeout_seconds=TIMEOUT_SECONDS, now=lambda: shared.now)


def about(seconds: float) -> Any:
    """With jitter."""
    return pytest.approx(seconds + JITTER_SECONDS / 2, abs=JITTER_SECONDS / 2 + 1e-9)


def events(logs: Sequence[Any], start: str) -> list[Any]:
    return [log for log in logs if log["event"].startswith(start)]


def leave_redis(shared: Shared, limiter: SharedSearchLimiter) -> None:
    """Redis is away, and the static share is open."""
    shared.away = True
    assert limiter.acquire("interactive", 1) > 0
    shared.now += WINDOW_SECONDS


def test_redis_permits_and_refuses(shared: Shared, limiter: SharedSearchLimiter) -> None:
    shared.waits = [0.0, 0.3]
    assert limiter.acquire("ingest", 5) == 0
    assert limiter.acquire("interactive", 2) == about(0.3)
    assert [asked[:3] for asked in shared.asked] == [("ingest", 5, 40), ("interactive", 2, 20)]


def test_only_who_comes_back_gets_a_place_in_the_queue(shared: Shared, limiter: SharedSearchLimiter) -> None:
    for lane in LANES:
        limiter.acquire(lane, 1)
    ingest, interactive, reprocess = (name for *_, name in shared.asked)
    assert interactive == ""
    assert ingest == reprocess != ""
    assert " " not in ingest


def test_a_late_permit_is_not_used(shared: Shared, limiter: SharedSearchLimiter) -> None:
    shared.takes = [0.031, 0.029]
    assert limiter.acquire("ingest", 5) == 0
    assert len(shared.asked) == 2
    shared.takes = [0.031] * 3
    assert 0 < limiter.acquire("ingest", 5) < 0.1
    assert len(shared.asked) == 5


def test_without_redis_one_window_passes_then_the_share_rules(shared: Shared, limiter: SharedSearchLimiter) -> None:
    assert limiter.acquire("interactive", 2) == 0
    shared.away = True
    assert limiter.acquire("interactive", 2) == about(WINDOW_SECONDS)
    shared.now += 1.0
    assert limiter.acquire("interactive", 2) == about(0.05)
    shared.now += 0.05
    granted = 0
    while not limiter.acquire("interactive", 1):
        granted += 1
    assert granted == 20 // 4
    assert limiter.acquire("ingest", 5) == 0


def test_redis_is_asked_once_a_window_while_it_is_away(shared: Shared, limiter: SharedSearchLimiter) -> None:
    leave_redis(shared, limiter)
    begun, shared.calls = shared.now, 0
    while shared.now < begun + 10:
        shared.takes = [0.5]
        limiter.acquire("ingest", 1)
        shared.now += 0.01
    assert shared.calls == 7


def test_a_lane_too_small_to_share_waits_for_redis(shared: Shared, limiter: SharedSearchLimiter) -> None:
    leave_redis(shared, limiter)
    for _ in range(10):
        wait = limiter.acquire("reprocess", 1)
        assert 0 < wait <= WINDOW_SECONDS + JITTER_SECONDS
        shared.now += wait
    shared.away = False
    assert limiter.acquire("reprocess", 1) == 0


def test_who_comes_back_lets_the_others_notice_first(shared: Shared, limiter: SharedSearchLimiter) -> None:
    leave_redis(shared, limiter)
    assert limiter.acquire("interactive", 1) == 0
    shared.away = False
    assert limiter.acquire("interactive", 1) == 0
    assert shared.held == []
    shared.now += WINDOW_SECONDS
    shared.waits = [3.1]
    assert limiter.acquire("interactive", 1) == about(3.1)
    ((first, later),) = shared.held
    assert first == pytest.approx(2 * WINDOW_SECONDS + 2 * TIMEOUT_SECONDS)
    assert later == WINDOW_SECONDS
    limiter.acquire("interactive", 1)
    assert len(shared.held) == 1


def test_both_ways_are_logged_once(shared: Shared, limiter: SharedSearchLimiter) -> None:
    with capture_logs() as logs:
        leave_redis(shared, limiter)
        for _ in range(3):
            limiter.acquire("ingest", 1)
            shared.now += WINDOW_SECONDS
        shared.away = False
        limiter.acquire("ingest", 1)
        limiter.acquire("ingest", 1)
    (away,) = events(logs, "Redis is away")
    assert away["shares"] == {"ingest": 10, "interactive": 5, "reprocess": 0}
    assert len(events(logs, "Redis is back")) == 1


def test_an_exhausted_lane_is_logged_once_in_ten_seconds(shared: Shared, limiter: SharedSearchLimiter) -> None:
    shared.waits = [0.1] * 130
    with capture_logs() as logs:
        for _ in range(110):
            limiter.acquire("ingest", 1)
            shared.now += 0.1
        limiter.acquire("reprocess", 1)
    told = events(logs, "search limit reached")
    assert [(log["lane"], log["limit"], log["refused"]) for log in told[::2]] == [
        ("ingest", 40, 1),
        ("reprocess", 2, 1),
    ]
    assert 99 <= told[1]["refused"] <= 101


def test_the_state_without_redis_has_no_counts(shared: Shared, limiter: SharedSearchLimiter) -> None:
    assert {(lane.used, lane.shared) for lane in limiter.state()} == {(7, True)}
    shared.away = True
    assert {(lane.used, lane.shared) for lane in limiter.state()} == {(None, False)}
