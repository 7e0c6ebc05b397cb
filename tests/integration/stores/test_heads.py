"""Look-ups of heads on JanusGraph and Redis, while Redis loses what it has: slower, never wrong."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from redis import Redis

from graph.cache_projection import CacheProjection
from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from graph.projector import Projector
from graph.redis_cache import LIBRARY, RedisHeadCache
from graph.schema import drop_namespace, setup_schema
from neardup.errors import CacheBehindError
from neardup.redis import connect
from neardup.settings import JanusGraphSettings, RedisSettings
from neardup.testing import InMemoryLedger, ledger_of, position_of
from neardup.types import ImageId
from query.heads import Heads

pytestmark = pytest.mark.integration

NAMESPACE = "storesheads"
ENTRIES = ledger_of([("a", "a"), ("b", "a"), ("c", "c"), ("d", "c"), ("b", "c")])
IDS = [ImageId(name) for name in "abcd"]
HEADS = {"a": "a", "b": "c", "c": "c", "d": "c"}


@pytest.fixture
def client(engines: Any) -> Iterator[Redis]:
    client = connect(RedisSettings(timeout_seconds=5), engines.redis_url)
    yield client
    client.close()


@pytest.fixture
def cache(client: Redis) -> Iterator[RedisHeadCache]:
    cache = RedisHeadCache(client, NAMESPACE, ttl_seconds=600, stale_seconds=600)
    cache.clear()
    yield cache
    cache.clear()


@pytest.fixture
def store(engines: Any) -> Iterator[JanusGraphClusterStore]:
    names = GraphNames(NAMESPACE)
    with ExitStack() as stack:
        gremlin = stack.enter_context(Gremlin(JanusGraphSettings(timeout_seconds=30), engines.janusgraph_url))
        setup_schema(gremlin, names)
        drop_namespace(gremlin, names)
        yield JanusGraphClusterStore(gremlin, names)
        drop_namespace(gremlin, names)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0
        return self.now


def asked(heads: Heads) -> dict[str, str]:
    return {image_id: placement.head for image_id, placement in heads.placements(IDS).items()}


def test_losing_redis_costs_latency_only(client: Redis, cache: RedisHeadCache, store: JanusGraphClusterStore) -> None:
    ledger = InMemoryLedger()
    ledger.writer().append(ENTRIES)
    store.apply(ENTRIES, upto=position_of(ENTRIES[-1]))
    heads = Heads(store, cache, monotonic=Clock())

    def follow() -> None:
        projector = Projector("cache", ledger=ledger, projection=CacheProjection(cache, store), batch=2)
        while projector.step():
            pass

    assert asked(heads) == HEADS
    follow()
    assert asked(heads) == HEADS
    assert heads.counts.hits == 4

    # Everything is lost, the functions too; nobody may read what comes back before it has caught up.
    cache.clear()
    client.function_delete(LIBRARY)
    assert asked(heads) == HEADS
    Projector("cache", ledger=ledger, projection=CacheProjection(cache, store), batch=2).step()
    with pytest.raises(CacheBehindError):
        cache.placements(IDS)
    assert asked(heads) == HEADS
    assert heads.counts.hits == 4
    follow()
    assert asked(heads) == HEADS
    assert heads.counts.hits == 8


def test_an_old_state_that_came_back_is_not_read(cache: RedisHeadCache, store: JanusGraphClusterStore) -> None:
    """Redis was restored to the seq before b moved; the projector has not been there since."""
    store.apply(ENTRIES, upto=position_of(ENTRIES[-1]))
    cache.apply(ENTRIES[:4], upto=position_of(ENTRIES[3]))
    cache.vouch(4, seconds_ago=601)
    assert asked(Heads(store, cache)) == HEADS
