"""Latency against the number of segments: copies of one index, merged to fewer and fewer."""

from collections.abc import Iterator
from contextlib import contextmanager

from opensearchpy import OpenSearch

from benchmarks.report import Report, percentiles
from benchmarks.search.clients import Clients
from benchmarks.search.corpus import Images, Queries
from benchmarks.search.loading import count_segments, finish, size_on_disk
from benchmarks.search.product import LIMIT, Product
from neardup.settings import Settings
from opensearch_templates.names import IndexNames

__all__ = ["against_segments"]

_FEWER = (20, 10, 1)
_PATIENCE = {"request_timeout": 300}


def against_segments(
    report: Report,
    client: OpenSearch,
    settings: Settings,
    *,
    names: IndexNames,
    images: Images,
    queries: Queries,
    clients: Clients,
    timed: int,
) -> None:
    """Rows for the index as it is after loading and for copies of it with fewer segments."""
    natural = count_segments(client, names.index)
    for wanted in (None, *(fewer for fewer in _FEWER if fewer < natural)):
        with _copy(client, names, wanted) as copied:
            product = Product(settings, copied, images, queries, clients)
            product.warm_up()
            milliseconds = product.latency(timed)
            segments = count_segments(client, copied.index)
            load = clients.run(product.probes[:timed], product.job(), clients=2)
            report.row(
                f"product, 1m images: latency against segments, N = {LIMIT}",
                index="as loaded" if wanted is None else f"merged to {wanted} at most",
                segments=segments,
                look_ups=segments * queries.codes[0].size,
                **percentiles(milliseconds),
                queries_per_second_2_clients=load.per_second,
                megabytes=size_on_disk(client, copied.index) / 1e6,
            )
            if wanted is None:
                report.figures["segments_1m_unmerged"] = segments
                report.figures["p50_ms_1m_unmerged"] = sorted(milliseconds)[len(milliseconds) // 2]


@contextmanager
def _copy(client: OpenSearch, names: IndexNames, segments: int | None) -> Iterator[IndexNames]:
    """A copy of the index, of hard links as far as it is not merged; None: the index itself."""
    if segments is None:
        yield names
        return
    copied = IndexNames(f"segments{segments}", names.lsh_version)
    settings = {"index.blocks.write": None, "index.number_of_replicas": 0}
    client.indices.put_settings(index=names.index, body={"index.blocks.write": True})
    try:
        body = {"settings": settings, "aliases": {copied.read: {}}}
        client.indices.clone(index=names.index, target=copied.index, body=body, params=_PATIENCE)
    finally:
        client.indices.put_settings(index=names.index, body={"index.blocks.write": None})
    client.cluster.health(index=copied.index, params={"wait_for_status": "green", **_PATIENCE})
    try:
        finish(client, copied.index, segments=segments)
        yield copied
    finally:
        client.indices.delete(index=copied.index)
