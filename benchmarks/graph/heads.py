"""Image -> head, one by one and a thousand at once: Redis cold, warm and down, and the peers."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from redis import Redis

from benchmarks.graph.corpus import Corpus, apply_all, image_name
from benchmarks.graph.peers import RawGremlin, RawRedis
from benchmarks.report import Report, percentiles
from graph.redis_cache import RedisHeadCache
from neardup.ports import ClusterStore
from neardup.redis import connect
from neardup.settings import Settings
from neardup.types import ImageId
from query.heads import Heads

__all__ = ["HeadLookups"]

TOGETHER: Final = 1000
_NOBODY_LISTENS: Final = "redis://127.0.0.1:1/0"
_WARM_UP: Final = 300
_ZIPF: Final = 1.1
_CACHE_BATCH: Final = 2000
_PATIENCE_SECONDS: Final = 60.0


class HeadLookups:
    """Look-ups on the corpus that the store holds."""

    def __init__(self, report: Report, settings: Settings, corpus: Corpus, store: ClusterStore, client: Redis) -> None:
        self._report = report
        self._settings = settings
        self._corpus = corpus
        self._store = store
        self._client = client
        self._random = np.random.default_rng(3)
        self.cache = self._cache(client)

    def measure(self, gremlin: RawGremlin, *, lookups: int, batches: int) -> None:
        """Rows for each state of Redis and each peer; the figure head_lookup_us is the warm cache, one by one."""
        single = [[image_id] for image_id in self._some(lookups)]
        together = [self._some(TOGETHER) for _ in range(batches)]
        heads = Heads(self._store, self.cache)
        self.cache.clear()
        for image_id in self._some(_WARM_UP):
            self._store.placements([image_id])
        # Cold: no image twice, so that none is there from the look-up before.
        self._row("product, Redis cold", heads.placements, single, together)
        p50 = self._row("product, Redis warm", heads.placements, single, together)
        self._report.figures["head_lookup_us"] = p50 * 1e3
        away = connect(self._settings.redis, _NOBODY_LISTENS)
        self._row("product, Redis down", Heads(self._store, self._cache(away)).placements, single, together)
        self._row("product, graph alone", self._store.placements, single, together)
        raw = RawRedis(self._client)
        named = {image_id for batch in (*single, *together) for image_id in batch}
        raw.fill([(image_id, placement.head) for image_id, placement in self._store.placements(list(named)).items()])
        self._row("redis-py, GET or MGET", raw.heads, single, together)
        self._row("gremlinpython, bytecode", gremlin.heads, single, together)

    def hit_rate(self, lookups: int) -> None:
        """Images asked for as people do, a few very often (Zipf), of a cache that is cold at the start; a hundredth is
        not decided yet."""
        self.cache.clear()
        heads = Heads(self._store, self.cache)
        ranks = self._random.permutation(self._corpus.last) + 1
        asked = self._random.zipf(_ZIPF, size=lookups) % self._corpus.last
        for number, rank in enumerate(asked):
            unknown = number % 100 == 0
            heads.placements([image_name(self._corpus.last + 10_000_000) if unknown else image_name(int(ranks[rank]))])
        counts = heads.counts
        self._report.row(
            "hit rate of the cache, cold at the start",
            images=self._corpus.last,
            lookups=lookups,
            hits=counts.hits,
            known_not_to_be_there=counts.known_absent,
            read_from_the_graph=counts.misses,
            hit_rate=counts.hit_rate,
        )

    def memory(self) -> None:
        """Bytes of Redis for one image, when all of the corpus is in the cache."""
        self.cache.clear()
        patient = self._settings.redis.model_copy(update={"timeout_seconds": _PATIENCE_SECONDS})
        assert patient.url is not None
        client = connect(patient, patient.url.get_secret_value())
        before = int(self._client.info("memory")["used_memory"])
        begun = time.perf_counter()
        apply_all(self._corpus, self._cache(client), range(1, self._corpus.last + 1), batch=_CACHE_BATCH)
        client.close()
        seconds = time.perf_counter() - begun
        ordinary = len(self._corpus.ordinary)
        used = int(self._client.info("memory")["used_memory"]) - before
        self._report.row(
            "memory of the cache",
            images=self._corpus.last,
            clusters=len(self._corpus.giants) + ordinary // 6,
            megabytes=used / 1e6,
            bytes_an_image=used / self._corpus.last,
            decisions_a_second=self._corpus.last / seconds,
        )

    def _some(self, count: int) -> list[ImageId]:
        seqs = self._random.choice(self._corpus.last, size=count, replace=False) + 1
        return [image_name(int(seq)) for seq in seqs]

    def _row(
        self,
        who: str,
        ask: Callable[[Sequence[ImageId]], object],
        single: Sequence[Sequence[ImageId]],
        together: Sequence[Sequence[ImageId]],
    ) -> float:
        """Times of both kinds of call; returns the median of single look-ups in milliseconds."""
        for at_once, asked in ((1, single), (TOGETHER, together)):
            spent = []
            for ids in asked:
                begun = time.perf_counter()
                found = ask(ids)
                spent.append((time.perf_counter() - begun) * 1e3)
                assert len(found) == len(ids)  # type: ignore[arg-type]
            self._report.row("image -> head", who=who, at_once=at_once, **percentiles(spent))
            if at_once == 1:
                p50 = float(np.percentile(spent, 50))
        return p50

    def _cache(self, client: Redis) -> RedisHeadCache:
        return RedisHeadCache(client, self._settings.namespace, ttl_seconds=self._settings.redis.ttl_seconds)
