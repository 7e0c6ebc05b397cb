"""What several contracts are run on."""

from collections.abc import Callable, Iterator

import pytest

from graph.redis_cache import RedisHeadCache, setup_functions
from neardup.ports import HeadCache
from neardup.redis import connect
from neardup.settings import RedisSettings
from neardup.testing import InMemoryHeadCache

NewCache = Callable[..., HeadCache]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def new_cache(request: pytest.FixtureRequest) -> Iterator[NewCache]:
    """An empty cache with these seconds; all of one test are over the same namespace."""
    if request.param == "memory":
        yield InMemoryHeadCache
        return
    client = connect(RedisSettings(timeout_seconds=5), request.getfixturevalue("engines").redis_url)
    setup_functions(client)

    def make(*, absent_seconds: float = 1.0, stale_seconds: float | None = None) -> HeadCache:
        cache = RedisHeadCache(
            client, "contractvouched", ttl_seconds=600, absent_seconds=absent_seconds, stale_seconds=stale_seconds
        )
        cache.clear()
        return cache

    yield make
    make()
    client.close()
