"""The search limit with eight processes: never exceeded, nothing lost, fair, and without Redis too."""

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from graph.redis_cache import RedisHeadCache
from neardup.engines.state import read_state
from neardup.engines.supervisor import up
from neardup.errors import CacheUnavailableError
from neardup.lanes import LaneLimits
from neardup.redis import connect
from neardup.settings import LocalSettings, RedisSettings, Settings
from query.limiter import SharedSearchLimiter
from query.redis_lanes import LIBRARY, RedisLanes, setup_functions
from tests.limit_process import Orders

pytestmark = pytest.mark.integration

_log = logging.getLogger(__name__)
"""The figures: pytest --log-cli-level=INFO."""

PROCESSES = 8
ROOT = Path(__file__).parents[3]


def run(all_orders: Sequence[Orders], between: Callable[[float], None] = lambda _: None) -> list[list[float]]:
    """The moments of each process; `between` is done while they run, and gets the moment of their start."""
    command = [sys.executable, "-m", "tests.limit_process"]
    running = [Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT) for _ in all_orders]
    try:
        for process, orders in zip(running, all_orders, strict=True):
            tell(process, orders.to_json())
        for process in running:
            assert hear(process) == "ready"
        start_at = time.monotonic() + 0.3
        for process in running:
            tell(process, str(start_at))
        between(start_at)
        return [json.loads(hear(process)) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()


def tell(process: "Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: "Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def orders(url: str, namespace: str, **others: Any) -> Orders:
    values = {"limit": 500, "processes": PROCESSES, "batch": 20, "searches": 10**9, "seconds": 600.0}
    return Orders(redis_url=url, namespace=namespace, **(values | others))


def most_in_a_second(moments: Sequence[float]) -> int:
    """The largest number of moments in any window of one second."""
    ordered = sorted(moments)
    most = first = 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.fixture
def client(engines: Any) -> Iterator[Redis]:
    client = connect(RedisSettings(timeout_seconds=5), engines.redis_url)
    yield client
    client.close()


@pytest.fixture
def lanes(client: Redis) -> RedisLanes:
    setup_functions(client)
    for key in client.scan_iter(match="{limit*}.searches:*"):
        client.delete(key)
    return RedisLanes(client, "limitlanes")


def test_a_burst_of_10000_keeps_the_limit_and_loses_none(engines: Any, lanes: RedisLanes) -> None:
    each = orders(engines.redis_url, "limitburst", searches=10_000 // PROCESSES)
    sent = [moment for moments in run([each] * PROCESSES) for moment in moments]
    assert len(sent) == 10_000
    seconds = max(sent) - min(sent)
    _log.info(f"{most_in_a_second(sent)} at most in a second, {10_000 / seconds:.0f} a second over {seconds:.1f} s")
    assert most_in_a_second(sent) <= 500
    assert 10_000 / seconds >= 0.85 * 500


@pytest.mark.parametrize("batch", [1, 20])
def test_no_process_starves(engines: Any, lanes: RedisLanes, batch: int) -> None:
    each = orders(engines.redis_url, f"limitfair{batch}", batch=batch, seconds=10.0)
    counts = [len(moments) for moments in run([each] * PROCESSES)]
    mean = sum(counts) / PROCESSES
    _log.info(f"counts {sorted(counts)}, mean {mean:.0f}")
    assert sum(counts) >= 0.85 * 500 * 10
    assert all(0.6 * mean <= count <= 1.4 * mean for count in counts)


def test_a_large_request_does_not_starve_beside_small_ones(engines: Any, lanes: RedisLanes) -> None:
    small = orders(engines.redis_url, "limitmixed", batch=1, seconds=8.0)
    large = orders(engines.redis_url, "limitmixed", batch=60, seconds=8.0)
    *others, one = (len(moments) for moments in run([small] * (PROCESSES - 1) + [large]))
    _log.info(f"small ones {sorted(others)}, large one {one}")
    assert one >= max(others)
    assert min(others) >= 0.5 * sum(others) / len(others)


def test_the_limit_holds_while_redis_dies_and_comes_back(
    engines: Any, engines_local: LocalSettings, client: Redis, lanes: RedisLanes
) -> None:
    begun = back_at = 0.0
    used = 0

    def kill_and_restart(start_at: float) -> None:
        nonlocal begun, back_at, used
        begun = start_at
        sleep_until(begun + 3.0)
        os.kill(read_state(engines_local.home).processes["redis"].pid, signal.SIGKILL)
        sleep_until(begun + 8.0)
        up(Settings(local=engines_local))
        back_at = time.monotonic()
        sleep_until(begun + 19.0)
        (used,) = RedisLanes(client, "limitcrash").used(["ingest"])

    each = orders(engines.redis_url, "limitcrash", seconds=20.0)
    sent = [moment for moments in run([each] * PROCESSES, between=kill_and_restart) for moment in moments]

    def rate(start: float, end: float) -> float:
        return sum(start <= moment < end for moment in sent) / (end - start)

    rates = [
        round(rate(begun + 1, begun + 3)),
        round(rate(begun + 4.5, begun + 8)),
        round(rate(back_at + 6, begun + 19)),
    ]
    _log.info("%d at most in a second; rates with, without and with Redis: %s", most_in_a_second(sent), rates)
    assert most_in_a_second(sent) <= 500
    assert min(rates) >= 0.7 * 500
    # Counted by Redis, so it is Redis that permitted them.
    assert used >= 0.7 * 500


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def acquire(
    lanes: RedisLanes, searches: int = 1, *, limit: int = 10, notice_seconds: float = 0.0, name: str = ""
) -> float:
    return lanes.acquire("ingest", searches, limit=limit, notice_seconds=notice_seconds, name=name)


def test_no_server(closed_port: int) -> None:
    client = connect(RedisSettings(), f"redis://127.0.0.1:{closed_port}/0")
    lanes = RedisLanes(client, "limitlanes")
    for call in (
        lambda: acquire(lanes),
        lambda: lanes.hold(first_seconds=1, later_seconds=1),
        lambda: lanes.used(["ingest"]),
        lambda: setup_functions(client),
    ):
        with pytest.raises(CacheUnavailableError):
            call()
    client.close()


def test_a_slow_answer_is_no_answer(engines: Any, lanes: RedisLanes, relay_to: Callable[[int], Any]) -> None:
    relay = relay_to(urlsplit(engines.redis_url).port or 0)
    client = connect(RedisSettings(timeout_seconds=0.3), f"redis://127.0.0.1:{relay.port}/0")
    limits = LaneLimits(ingest=80, interactive=40, reprocess=40, processes=4)
    limiter = SharedSearchLimiter(RedisLanes(client, "limitslow"), limits, timeout_seconds=0.3)
    assert limiter.acquire("interactive", 1) == 0
    relay.hold()
    time.sleep(limiter.acquire("interactive", 1))
    assert limiter.acquire("interactive", 1) == 0
    assert not limiter.state()[0].shared
    relay.cut()
    time.sleep(1.1)
    # It was away from everybody, as far as it knows: nothing for a while, so that all can notice.
    assert 2.0 < limiter.acquire("interactive", 1) < 4.0
    assert limiter.state()[0].shared
    client.close()


def test_lost_functions_are_loaded_again(client: Redis, lanes: RedisLanes) -> None:
    assert acquire(lanes, 10) == 0
    client.function_delete(LIBRARY)
    assert acquire(lanes) > 0
    assert setup_functions(client) == []


def test_nothing_is_permitted_just_after_a_restart(client: Redis, lanes: RedisLanes) -> None:
    uptime = client.info("server")["uptime_in_seconds"]
    wait = acquire(lanes, notice_seconds=uptime + 5.0)
    assert 4.0 < wait <= 6.0
    assert acquire(lanes, notice_seconds=0.0) == 0


def test_a_hold_stops_every_lane_and_ends(lanes: RedisLanes) -> None:
    lanes.hold(first_seconds=0.5, later_seconds=0.1)
    assert 0.3 < acquire(lanes) <= 0.5
    assert lanes.acquire("interactive", 1, limit=10, notice_seconds=0.0, name="") > 0
    lanes.hold(first_seconds=9.0, later_seconds=0.7)
    wait = acquire(lanes)
    assert 0.5 < wait <= 0.7
    time.sleep(wait)
    assert acquire(lanes) == 0


def test_no_hold_while_others_are_served(lanes: RedisLanes) -> None:
    assert acquire(lanes) == 0
    lanes.hold(first_seconds=5.0, later_seconds=5.0)
    assert acquire(lanes) == 0


def test_a_clock_set_back_costs_a_window_and_permits_nothing_more(client: Redis, lanes: RedisLanes) -> None:
    assert acquire(lanes, 10) == 0
    base, last = client.lrange("{limitlanes}.searches:ingest", 0, -1)
    later = int(last.split()[0]) + 3600 * 10**6
    client.delete("{limitlanes}.searches:ingest")
    client.rpush("{limitlanes}.searches:ingest", base, f"{later} 10")
    wait = acquire(lanes)
    assert 1.0 < wait <= 1.05
    time.sleep(wait)
    assert acquire(lanes, 10) == 0


def test_places_are_kept_in_order_and_lapse(lanes: RedisLanes) -> None:
    assert acquire(lanes, 10) == 0
    waits = [acquire(lanes, 4, name=name) for name in ("a", "b")]
    time.sleep(max(waits))
    assert acquire(lanes, 4, name="c") > 0
    assert acquire(lanes, 2, limit=16, name="b") > 0
    time.sleep(0.3)
    # Those before it did not come back in time.
    assert acquire(lanes, 2, limit=16, name="c") == 0


def test_dropping_the_cache_forgets_no_permits(client: Redis, lanes: RedisLanes) -> None:
    assert acquire(lanes, 10) == 0
    RedisHeadCache(client, "limitlanes", ttl_seconds=600).clear()
    assert acquire(lanes) > 0


def test_keys_expire(client: Redis, lanes: RedisLanes) -> None:
    acquire(lanes, 10)
    acquire(lanes, 1, name="a")
    lanes.hold(first_seconds=5.0, later_seconds=5.0)
    keys = list(client.scan_iter(match="{limitlanes}.searches:*"))
    assert len(keys) >= 2
    assert all(0 < client.ttl(key) <= 60 for key in keys)


def test_asking_takes_less_than_a_millisecond(engines: Any, lanes: RedisLanes, client: Redis) -> None:
    limits = LaneLimits(ingest=10_000_000, interactive=80, reprocess=80, processes=4)
    limiter = SharedSearchLimiter(RedisLanes(client, "limitspeed"), limits, timeout_seconds=0.5)
    durations = []
    for _ in range(1000):
        begun = time.perf_counter()
        assert limiter.acquire("ingest", 64) == 0
        durations.append(time.perf_counter() - begun)
    _log.info(f"p50 {sorted(durations)[500] * 1e3:.2f} ms, p99 {sorted(durations)[990] * 1e3:.2f} ms")
    assert sorted(durations)[500] < 0.001
