"""Fills an index with a corpus by plain bulk requests: the documents that the product writes, without its ledger."""

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from opensearchpy import OpenSearch, TransportError

from benchmarks.search.corpus import BLOCK, Images, image_name
from neardup.lsh import terms as terms_of
from neardup.types import Code
from neardup.words import pack

__all__ = ["count_segments", "finish", "load", "send", "size_on_disk"]

_DOCUMENTS_A_REQUEST = 500
_SENDERS = 2
_PATIENCE = {"request_timeout": 1800}


def load(client: OpenSearch, index: str, images: Images, codes: Code, rows: range) -> None:
    """Write these rows (whole blocks; `codes` holds all from row 0 on) as the product writes documents, and refresh."""
    printed = _printed_terms(images)
    withheld = frozenset(images.withheld(rows).tolist())
    waiting: list[Future[None]] = []
    with ThreadPoolExecutor(_SENDERS) as pool:
        for block in range(rows.start // BLOCK, rows.stop // BLOCK):
            first = block * BLOCK
            bodies = list(_bodies(printed, codes[first : first + BLOCK], images.scores(block), first, withheld))
            for request in waiting:
                request.result()
            waiting = [pool.submit(send, client, index, body) for body in bodies]
        for request in waiting:
            request.result()
    client.indices.refresh(index=index, params=_PATIENCE)


def finish(client: OpenSearch, index: str, *, segments: int = 1) -> None:
    """What ends a bulk load: merge to so many segments. Takes minutes at 10 M."""
    client.indices.forcemerge(index=index, params={"max_num_segments": segments, **_PATIENCE})
    client.indices.refresh(index=index, params=_PATIENCE)


def send(client: OpenSearch, index: str, body: str) -> None:
    """One bulk request; waits while OpenSearch has no heap for it."""
    for pause in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0):
        try:
            answer = client.bulk(index=index, body=body, params={"filter_path": "errors", **_PATIENCE})
        except TransportError as exc:
            if exc.status_code != 429:
                raise
            time.sleep(pause)
        else:
            assert not answer["errors"], "OpenSearch refused a document"
            return
    raise RuntimeError("OpenSearch had no heap for a bulk request for 45 s")


def count_segments(client: OpenSearch, index: str) -> int:
    """Searchable segments of an index, all shards."""
    return len(client.cat.segments(index=index, format="json"))


def size_on_disk(client: OpenSearch, index: str) -> int:
    """Bytes of an index."""
    size: int = client.indices.stats(index=index)["_all"]["primaries"]["store"]["size_in_bytes"]
    return size


def _printed_terms(images: Images) -> list[list[str]]:
    buckets = range(1 << images.model.bits_per_table)
    return [[f'"{table}.{bucket:x}"' for bucket in buckets] for table in range(images.model.tables)]


def _bodies(
    printed: list[list[str]], codes: Code, scores: npt.NDArray[np.float16], first: int, withheld: frozenset[int]
) -> Iterator[str]:
    """The bodies of the bulk requests; every document is what `document_of_image` makes."""
    lines: list[str] = []
    for at, code in enumerate(codes):
        row = first + at
        buckets = [column[bucket] for column, bucket in zip(printed, code[: len(printed)].tolist(), strict=True)]
        terms = ",".join([*buckets, *(f'"{word}"' for word in terms_of(code[len(printed) :]))])
        found = '"withheld":true' if row in withheld else f'"terms":[{terms}]'
        header = {"index": {"_id": image_name(row), "version": row + 1, "version_type": "external_gte"}}
        score, packed = (base64.b64encode(part).decode() for part in (scores[at].tobytes(), pack(code)))
        lines.append(
            f'{json.dumps(header)}\n{{"id":"{image_name(row)}","seq":{row + 1},"version":1,"score":"{score}",'
            f'"code":"{packed}","labels":[],{found}}}\n'
        )
        if len(lines) == _DOCUMENTS_A_REQUEST:
            yield "".join(lines)
            lines = []
    if lines:
        yield "".join(lines)
