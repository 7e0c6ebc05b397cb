"""Redis when things go wrong, its functions and the life of its entries."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from graph.redis_cache import LIBRARY, RedisHeadCache, setup_functions
from neardup.errors import CacheUnavailableError
from neardup.redis import connect
from neardup.settings import RedisSettings
from neardup.testing import make_decision, position_of
from neardup.types import ImageId, Position

pytestmark = pytest.mark.integration

NAMESPACE = "storescache"


@pytest.fixture
def client(engines: Any) -> Iterator[Redis]:
    client = connect(RedisSettings(timeout_seconds=5), engines.redis_url)
    yield client
    RedisHeadCache(client, NAMESPACE, ttl_seconds=600).clear()
    client.close()


@pytest.fixture
def cache(client: Redis) -> RedisHeadCache:
    cache = RedisHeadCache(client, NAMESPACE, ttl_seconds=600)
    cache.clear()
    return cache


def test_no_server(closed_port: int) -> None:
    client = connect(RedisSettings(), f"redis://127.0.0.1:{closed_port}/0")
    cache = RedisHeadCache(client, NAMESPACE, ttl_seconds=600)
    decision = make_decision(1, "a", "a")
    for call in (
        cache.position,
        lambda: cache.apply([decision], upto=position_of(decision)),
        lambda: cache.placements([ImageId("a")]),
        cache.clear,
        lambda: setup_functions(client),
    ):
        with pytest.raises(CacheUnavailableError):
            call()
    client.close()


def test_a_slow_answer_is_no_answer(engines: Any, relay_to: Callable[[int], Any]) -> None:
    relay = relay_to(urlsplit(engines.redis_url).port or 0)
    client = connect(RedisSettings(timeout_seconds=0.3), f"redis://127.0.0.1:{relay.port}/0")
    cache = RedisHeadCache(client, NAMESPACE, ttl_seconds=600)
    assert cache.placements([ImageId("a")]) == {}
    relay.hold()
    with pytest.raises(CacheUnavailableError):
        cache.placements([ImageId("a")])
    relay.cut()
    assert cache.placements([ImageId("a")]) == {}
    client.close()


def test_lost_functions_are_loaded_again(client: Redis, cache: RedisHeadCache) -> None:
    decisions = [make_decision(1, "a", "a"), make_decision(2, "b", "a")]
    cache.apply(decisions, upto=position_of(decisions[-1]))
    client.function_delete(LIBRARY)
    found = cache.placements([ImageId("b")])[ImageId("b")]
    assert found is not None
    assert found.head == "a"
    assert setup_functions(client) == []


def test_setup_twice_changes_nothing(client: Redis) -> None:
    setup_functions(client)
    assert setup_functions(client) == []
    client.function_delete(LIBRARY)
    assert setup_functions(client, dry_run=True) == [f"redis function library {LIBRARY}"]
    assert setup_functions(client) == [f"redis function library {LIBRARY}"]


def test_another_text_of_the_library_is_replaced(client: Redis) -> None:
    client.function_load(
        f"#!lua name={LIBRARY}\nredis.register_function('{LIBRARY}_lookup', function() return 1 end)", replace=True
    )
    assert setup_functions(client) == [f"redis function library {LIBRARY}"]
    assert setup_functions(client) == []


def test_entries_expire_and_the_position_does_not(client: Redis, cache: RedisHeadCache) -> None:
    decision = make_decision(1, "a", "a")
    cache.apply([decision], upto=position_of(decision))
    lifetimes = {bytes(key).decode(): client.ttl(key) for key in client.scan_iter(match=f"{{{NAMESPACE}}}:*")}
    assert lifetimes.pop(f"{{{NAMESPACE}}}:position:") == -1
    assert lifetimes.keys() == {f"{{{NAMESPACE}}}:image:a", f"{{{NAMESPACE}}}:cluster:a"}
    assert all(590 <= left <= 600 for left in lifetimes.values())


def test_reading_an_entry_keeps_it(client: Redis, cache: RedisHeadCache) -> None:
    decision = make_decision(1, "a", "a")
    cache.apply([decision], upto=position_of(decision))
    key = f"{{{NAMESPACE}}}:image:a"
    client.expire(key, 100)
    cache.placements([ImageId("a")])
    assert client.ttl(key) >= 590


def test_an_image_without_its_cluster_entry_is_a_miss(client: Redis, cache: RedisHeadCache) -> None:
    decision = make_decision(1, "a", "a")
    cache.apply([decision], upto=position_of(decision))
    client.delete(f"{{{NAMESPACE}}}:cluster:a")
    assert cache.placements([ImageId("a")]) == {}


def test_namespaces_share_nothing(client: Redis, cache: RedisHeadCache) -> None:
    other = RedisHeadCache(client, NAMESPACE + "2", ttl_seconds=600)
    decision = make_decision(1, "a", "a")
    cache.apply([decision], upto=position_of(decision))
    assert other.position() == Position()
    assert other.placements([ImageId("a")]) == {}
    other.clear()
    assert cache.position().seq == 1
