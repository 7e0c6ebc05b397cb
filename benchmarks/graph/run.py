"""The order of things: load, pages, look-ups."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.graph.corpus import Cluster, Corpus, apply_all
from benchmarks.graph.heads import HeadLookups
from benchmarks.graph.pages import PAGE, measure_pages, summarise, walk_while_growing
from benchmarks.graph.peers import RawGremlin
from benchmarks.graph.writer import Writer
from benchmarks.report import Report, percentiles
from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from graph.redis_cache import setup_functions
from graph.schema import setup_schema
from neardup.cursors import DIGEST_LENGTH, format_cursor, format_newest
from neardup.redis import connect
from neardup.settings import Settings
from neardup.types import Page

__all__ = ["Plan", "run"]

_BATCH: Final = 1000
_MEMBERS_A_SECOND: Final = 50
_WARM_UP_PAGES: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much. `giants`: sizes of the giant clusters; `ordinary`: images in clusters of six; `pages`: at each depth;
    `lookups`: one by one; `batches`: of a thousand look-ups; `walk_limit`: page of the walk."""

    giants: tuple[int, ...]
    ordinary: int
    pages: int
    lookups: int
    batches: int
    walk_limit: int


def run(report: Report, settings: Settings, plan: Plan) -> None:
    """Everything; the figures and rows go to `report`."""
    assert settings.janusgraph.url
    assert settings.redis.url
    corpus = Corpus.of(plan.giants, plan.ordinary)
    client = connect(settings.redis, settings.redis.url.get_secret_value())
    setup_functions(client)
    with (
        Gremlin(settings.janusgraph, settings.janusgraph.url) as gremlin,
        RawGremlin.opened(settings) as raw,
    ):
        names = GraphNames(settings.namespace)
        setup_schema(gremlin, names)
        store = JanusGraphClusterStore(gremlin, names)
        _load(report, corpus, store)
        report.flush()
        pages = _Pages(report, settings, plan, store, raw, next_seq=corpus.last + 1)
        for cluster in corpus.giants:
            pages.measure(cluster)
            report.flush()
        report.note("look-ups")
        heads = HeadLookups(report, settings, corpus, store, client)
        heads.measure(raw, lookups=plan.lookups, batches=plan.batches)
        report.note("hit rate and memory of the cache")
        heads.hit_rate(10 * plan.lookups)
        heads.memory()
    client.close()


def _load(report: Report, corpus: Corpus, store: JanusGraphClusterStore) -> None:
    loaded, seconds = 0, 0.0
    parts = [range(giant.first, giant.last + 1) for giant in corpus.giants]
    for part in [*parts, corpus.ordinary]:
        report.note(f"loading {len(part):,} images")
        spent = _seconds(lambda part=part: apply_all(corpus, store, part, batch=_BATCH))  # type: ignore[misc]
        loaded, seconds = loaded + len(part), seconds + spent
        kind = "clusters of six" if part is corpus.ordinary else "one cluster"
        report.row("bulk load", into=kind, images=len(part), batch=_BATCH, seconds=spent, a_second=len(part) / spent)
    report.figures["bulk_edges_per_second"] = loaded / seconds


class _Pages:
    """Pages of one cluster after the other; the figures are those of the last, which is the largest."""

    def __init__(
        self,
        report: Report,
        settings: Settings,
        plan: Plan,
        store: JanusGraphClusterStore,
        raw: RawGremlin,
        *,
        next_seq: int,
    ) -> None:
        self._report = report
        self._settings = settings
        self._plan = plan
        self._store = store
        self._raw = raw
        self._next_seq = next_seq

    def measure(self, cluster: Cluster) -> None:
        report, plan, store = self._report, self._plan, self._store
        title = "pages of 100 members"
        report.note(f"pages of {cluster.size:,} members")

        part = GraphNames(self._settings.namespace).cluster_uid(cluster.cluster_id)[:DIGEST_LENGTH]

        def ours(after: int) -> Page:
            return store.members(cluster.cluster_id, after=format_cursor(after, part), limit=PAGE)

        def newest(after: int) -> Page:
            return store.members(cluster.cluster_id, after=format_newest(after), limit=PAGE, order="newest")

        measure_pages(cluster, ours, pages=_WARM_UP_PAGES // 3)
        idle = measure_pages(cluster, ours, pages=plan.pages)
        summarise(report, title, "product, idle", cluster, idle)
        measure_pages(cluster, lambda after: self._raw.page(cluster, after, PAGE), pages=_WARM_UP_PAGES // 3)
        peer = measure_pages(cluster, lambda after: self._raw.page(cluster, after, PAGE), pages=plan.pages)
        summarise(report, title, "gremlinpython, idle", cluster, peer)
        measure_pages(cluster, newest, pages=_WARM_UP_PAGES // 3, newest=True)
        backwards = measure_pages(cluster, newest, pages=plan.pages, newest=True)
        summarise(report, title, "product, newest first, idle", cluster, backwards)
        with self._writer(cluster) as writer:
            busy = measure_pages(cluster, ours, pages=plan.pages)
            walk_while_growing(report, cluster, store, limit=plan.walk_limit)
        self._next_seq += len(writer.written.milliseconds)
        summarise(report, title, "product, while members come", cluster, busy)
        report.row(
            "members coming to the same cluster, one a transaction",
            members=cluster.size,
            a_second=writer.written.per_second,
            **percentiles(writer.written.milliseconds),
        )
        report.figures |= {
            "page_p50_ms": max(float(np.percentile(spent, 50)) for spent in idle.values()),
            "page_p99_ms": max(float(np.percentile(spent, 99)) for spent in idle.values()),
            "page_under_writes_p99_ms": max(float(np.percentile(spent, 99)) for spent in busy.values()),
            "page_end_over_start": float(np.percentile(idle["end"], 50) / np.percentile(idle["start"], 50)),
        }

    def _writer(self, cluster: Cluster) -> Writer:
        return Writer(self._settings, cluster, first=self._next_seq, per_second=_MEMBERS_A_SECOND)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
