"""The method of image-match: one field a word, default scoring, the first 100 hits.

image-match keeps 63 words of a signature in 63 fields and asks with one clause a word. It was written for an engine
whose default score of a term has an IDF; `use_similarity` gives that to keyword fields here. Asked with the own words
only, as it has no probes, and compared with the true top 100 of that same question.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from opensearchpy import OpenSearch

from benchmarks.report import Report, percentiles
from benchmarks.search.corpus import Queries, image_name, row_of_name
from benchmarks.search.loading import count_segments, finish, send, size_on_disk
from benchmarks.search.truth import Rows, brute_force, recall_of_originals, recall_of_top
from neardup.types import Code

__all__ = ["run_image_match"]

_INDEX: Final = "imagematch"
_TOP: Final = 100
_DOCUMENTS_A_REQUEST: Final = 500
_COMPARED: Final = 40


def run_image_match(report: Report, client: OpenSearch, size: str, codes: Code, queries: Queries) -> None:
    """One row; the index is made for it and removed."""
    client.indices.create(index=_INDEX, body=_index_body(codes.shape[1]))
    try:
        begun = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            for first in range(0, len(codes), 50 * _DOCUMENTS_A_REQUEST):
                bodies = list(_bodies(codes, first, min(first + 50 * _DOCUMENTS_A_REQUEST, len(codes))))
                list(pool.map(lambda body: send(client, _INDEX, body), bodies))
        client.indices.refresh(index=_INDEX, params={"request_timeout": 600})
        rate = len(codes) / (time.perf_counter() - begun)
        finish(client, _INDEX)
        own = queries.codes[:, :, 0]
        for code in own[:100]:
            _ask(client, code)
        found, spent = [], []
        for code in own:
            begun = time.perf_counter()
            found.append(_ask(client, code))
            spent.append((time.perf_counter() - begun) * 1e3)
        truths = [brute_force(code[:, None], codes, _TOP) for code in own[:_COMPARED]]
        report.row(
            "image-match's method",
            images=size,
            N=_TOP,
            **percentiles(spent),
            queries_per_second=1e3 / float(np.mean(spent)),
            documents_a_second=rate,
            megabytes=size_on_disk(client, _INDEX) / 1e6,
            segments=count_segments(client, _INDEX),
            recall_of_top_N=recall_of_top(truths, found[:_COMPARED]),
            recall_of_original=recall_of_originals(queries.originals, found),
        )
    finally:
        client.indices.delete(index=_INDEX)


def _index_body(tables: int) -> dict[str, Any]:
    word = {"type": "keyword", "doc_values": False, "use_similarity": True}
    return {
        "settings": {"index": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}},
        "mappings": {
            "_source": {"enabled": False},
            "properties": {f"simple_word_{table}": word for table in range(tables)},
        },
    }


def _bodies(codes: Code, start: int, stop: int) -> Iterator[str]:
    for first in range(start, stop, _DOCUMENTS_A_REQUEST):
        lines = []
        for row in range(first, min(first + _DOCUMENTS_A_REQUEST, stop)):
            words = ",".join(f'"simple_word_{table}":"{word}"' for table, word in enumerate(codes[row].tolist()))
            lines.append(f'{{"index":{{"_id":"{image_name(row)}"}}}}\n{{{words}}}\n')
        yield "".join(lines)


def _ask(client: OpenSearch, code: Code) -> Rows:
    clauses = [{"term": {f"simple_word_{table}": str(word)}} for table, word in enumerate(code.tolist())]
    body = {"query": {"bool": {"should": clauses}}, "size": _TOP, "_source": False}
    hits = client.msearch(body=f'{{"index":"{_INDEX}"}}\n{json.dumps(body)}\n')["responses"][0]["hits"]["hits"]
    return np.array([row_of_name(hit["_id"]) for hit in hits], dtype=np.int64)
