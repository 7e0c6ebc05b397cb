"""The port SearchLimiter, in memory and on Redis."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from neardup.lanes import LANES, WINDOW_SECONDS, LaneLimits
from neardup.ports import SearchLimiter
from neardup.redis import connect
from neardup.settings import RedisSettings
from neardup.testing import FakeClock, InMemorySearchLimiter
from query.limiter import SharedSearchLimiter
from query.redis_lanes import RedisLanes, setup_functions

LIMITS = LaneLimits(ingest=80, interactive=40, reprocess=16, processes=2)
LATE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Limited:
    """A limiter and the time it lives in."""

    limiter: SearchLimiter
    now: Callable[[], float]
    sleep: Callable[[float], None]

    def use_up(self, lane: str = "interactive") -> int:
        """Take single permits until one is refused; how many there were."""
        taken = 0
        while not self.limiter.acquire(lane, 1):  # type: ignore[arg-type]
            taken += 1
        return taken


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def limited(request: pytest.FixtureRequest) -> Iterator[Limited]:
    if request.param == "memory":
        clock = FakeClock()
        limiter = InMemorySearchLimiter(LIMITS, clock)
        yield Limited(limiter=limiter, now=lambda: clock.now_ms() / 1000, sleep=clock.sleep)
        return
    client = connect(RedisSettings(timeout_seconds=5), request.getfixturevalue("engines").redis_url)
    setup_functions(client)
    for key in client.scan_iter(match="{contractlimit}.*"):
        client.delete(key)
    shared = SharedSearchLimiter(RedisLanes(client, "contractlimit"), LIMITS, timeout_seconds=0.5)
    yield Limited(limiter=shared, now=time.monotonic, sleep=time.sleep)
    client.close()


def test_the_limit_is_granted_and_no_more(limited: Limited) -> None:
    assert limited.use_up() == 40
    assert 0 < limited.limiter.acquire("interactive", 1) <= WINDOW_SECONDS + LATE_SECONDS


def test_after_the_delay_there_is_room(limited: Limited) -> None:
    limited.use_up()
    limited.sleep(limited.limiter.acquire("interactive", 1))
    assert limited.limiter.acquire("interactive", 1) == 0


def test_all_or_none(limited: Limited) -> None:
    limiter = limited.limiter
    for _ in range(39):
        assert limiter.acquire("interactive", 1) == 0
    assert limiter.acquire("interactive", 2) > 0
    assert limiter.acquire("interactive", 1) == 0
    assert limiter.acquire("interactive", 1) > 0


def test_lanes_take_nothing_from_one_another(limited: Limited) -> None:
    limited.use_up()
    assert limited.limiter.acquire("ingest", 10) == 0
    assert limited.limiter.acquire("reprocess", 2) == 0


@pytest.mark.parametrize(("lane", "largest"), [("ingest", 10), ("interactive", 5), ("reprocess", 2)])
def test_what_could_never_be_granted_is_a_mistake(limited: Limited, lane: str, largest: int) -> None:
    limiter = limited.limiter
    assert limiter.largest_request(lane) == largest  # type: ignore[arg-type]
    for searches in (0, -1, largest + 1):
        with pytest.raises(ValueError, match=f"searches: {searches} "):
            limiter.acquire(lane, searches)  # type: ignore[arg-type]
    assert limiter.acquire(lane, largest) == 0  # type: ignore[arg-type]


def test_the_state_says_what_is_used(limited: Limited) -> None:
    assert [lane.used for lane in limited.limiter.state()] == [0, 0, 0]
    limited.limiter.acquire("ingest", 10)
    limited.limiter.acquire("interactive", 3)
    state = limited.limiter.state()
    assert [(lane.lane, lane.used) for lane in state] == [("ingest", 10), ("interactive", 3), ("reprocess", 0)]
    assert [(lane.limit, lane.share, lane.shared) for lane in state] == [(80, 40, True), (40, 20, True), (16, 8, True)]
    limited.sleep(1.01)
    assert [lane.used for lane in limited.limiter.state()] == [0, 0, 0]


@pytest.mark.parametrize("lane", LANES)
def test_no_second_has_more_than_the_limit(limited: Limited, lane: str) -> None:
    """Requests of all sizes, as fast as they are granted, for four seconds."""
    rng = random.Random(lane)
    limiter, began = limited.limiter, limited.now()
    sent: list[float] = []
    while limited.now() < began + 4:
        searches = rng.randint(1, limiter.largest_request(lane))  # type: ignore[arg-type]
        if wait := limiter.acquire(lane, searches):  # type: ignore[arg-type]
            limited.sleep(wait)
        else:
            sent += [limited.now()] * searches
    limit = LIMITS.limit(lane)  # type: ignore[arg-type]
    assert max(sum(moment <= other < moment + 1 for other in sent) for moment in sent) <= limit
    assert len(sent) >= 3 * limit
