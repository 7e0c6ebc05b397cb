"""The peers that search codes in memory: FAISS, usearch and numpy, on the same codes with the same two threads.

FAISS and usearch rank by Hamming distance of the 768 bits, which is another question than term overlap, and return
rows without embeddings. Each is measured in several ways of asking, and the best counts.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.report import Report
from benchmarks.search.corpus import Queries
from benchmarks.search.truth import Rows, Truth, brute_force, recall_of_originals, recall_of_top
from neardup.types import Code

__all__ = ["PACKAGES", "missing_packages", "pack", "run_peers"]

PACKAGES: Final = {"faiss": "faiss-cpu==1.15.1", "usearch": "usearch==2.26.6"}
_THREADS: Final = 2
_ROWS_AT_ONCE: Final = 50_000
_MULTI_HASH_ROWS: Final = 1_000_000
_HASH_BITS: Final = 16
_SECONDS: Final = 2.0

Packed = npt.NDArray[np.uint8]
Ask = Callable[[Packed, int], Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """`ask`: packed queries (n, bytes) and N -> rows (n, N), -1 where none."""

    name: str
    ask: Ask
    seconds_to_build: float
    together: bool = True
    for_figures: bool = False


def missing_packages() -> list[str]:
    """What pip has to install first."""
    return [requirement for module, requirement in PACKAGES.items() if find_spec(module) is None]


def pack(codes: Code, bits: int) -> Packed:
    """Codes (n, tables) as bits in a row, (n, tables * bits / 8)."""
    shifts = np.arange(bits, dtype=np.uint16)
    parts = []
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        block = codes[start : start + _ROWS_AT_ONCE]
        parts.append(np.packbits((block[:, :, None] >> shifts & 1).astype(np.uint8).reshape(len(block), -1), axis=1))
    return np.concatenate(parts)


def run_peers(
    report: Report, size: str, codes: Code, queries: Queries, *, bits: int, limits: Sequence[int], graph: bool
) -> None:
    """Rows for every peer; figures for the flat index of FAISS. `graph`: build the approximate index of usearch too."""
    base = pack(codes, bits)
    asked = pack(queries.codes[:, :, 0], bits)
    truths = [brute_force(code, codes, max(limits)) for code in queries.codes[:40]]
    _numpy(report, size, codes, queries)
    for peer in (*_faiss(base), *_usearch(base, graph=graph)):
        for limit in limits if peer.for_figures else (200,):
            _measure(report, size, peer, asked=asked, queries=queries, truths=truths, limit=limit)
    report.flush()


def _measure(
    report: Report, size: str, peer: Peer, *, asked: Packed, queries: Queries, truths: Sequence[Truth], limit: int
) -> None:
    cut = [Truth(truth.rows[:limit], truth.counts) for truth in truths]
    found = list(peer.ask(asked[: len(truths)], limit))
    one, two = _rate(peer, asked, limit, clients=1), _rate(peer, asked, limit, clients=2)
    many = _batched(peer, asked, limit) if peer.together else 0.0
    report.row(
        f"peers, {size} images",
        peer=peer.name,
        N=limit,
        build_s=peer.seconds_to_build,
        qps_one_at_a_time=one,
        qps_2_clients=two,
        qps_batch_of_400=many or "",
        recall_of_top_N=recall_of_top(cut, found),
        recall_of_original=recall_of_originals(queries.originals[: len(found)], found),
    )
    if peer.for_figures and limit == 200:
        report.figures[f"faiss_flat_queries_per_second_{size}"] = max(one, two, many)
        report.figures[f"faiss_flat_queries_per_second_single_{size}"] = max(one, two)


def _rate(peer: Peer, asked: Packed, limit: int, *, clients: int) -> float:
    """Queries a second, one query a call."""
    with ThreadPoolExecutor(clients) as pool:
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < _SECONDS / 2:
            some = [asked[(done + at) % len(asked)][None] for at in range(10)]
            done += len(list(pool.map(lambda query: peer.ask(query, limit), some)))
        return done / (time.perf_counter() - begun)


def _batched(peer: Peer, asked: Packed, limit: int) -> float:
    """Queries a second, 400 queries a call."""
    batch = asked[np.arange(400) % len(asked)]
    begun, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - begun < _SECONDS:
        peer.ask(batch, limit)
        done += len(batch)
    return done / (time.perf_counter() - begun)


def _numpy(report: Report, size: str, codes: Code, queries: Queries) -> None:
    begun, done = time.perf_counter(), 0
    while done < 2 or time.perf_counter() - begun < _SECONDS:
        brute_force(queries.codes[done % len(queries)], codes, 200)
        done += 1
    rate = done / (time.perf_counter() - begun)
    name = "numpy brute force of term overlap"
    report.row(
        f"peers, {size} images",
        peer=name,
        N=200,
        build_s=0.0,
        qps_one_at_a_time=rate,
        qps_2_clients="",
        qps_batch_of_400="",
        recall_of_top_N=1.0,
        recall_of_original="",
    )


def _faiss(base: Packed) -> list[Peer]:
    import faiss  # noqa: PLC0415 - not in the locked environment

    faiss.omp_set_num_threads(_THREADS)
    width = base.shape[1] * 8
    peers = []
    flat, seconds = _built(lambda: faiss.IndexBinaryFlat(width), base)
    peers.append(Peer(name="faiss IndexBinaryFlat", ask=_faiss_ask(flat), seconds_to_build=seconds, for_figures=True))
    hashed, seconds = _built(lambda: faiss.IndexBinaryHash(width, _HASH_BITS), base)
    name = f"faiss IndexBinaryHash, {_HASH_BITS} bits"
    peers += [
        Peer(name=f"{name}, {flips} flipped", ask=_faiss_ask(hashed, nflip=flips), seconds_to_build=seconds)
        for flips in (1, 3)
    ]
    if len(base) <= _MULTI_HASH_ROWS:
        tables, seconds = _built(lambda: faiss.IndexBinaryMultiHash(width, 32, _HASH_BITS), base)
        name = f"faiss IndexBinaryMultiHash, 32 x {_HASH_BITS} bits"
        peers += [
            Peer(name=f"{name}, {flips} flipped", ask=_faiss_ask(tables, nflip=flips), seconds_to_build=seconds)
            for flips in (0, 1)
        ]
    return peers


def _built(make: Callable[[], Any], base: Packed) -> tuple[Any, float]:
    begun = time.perf_counter()
    index = make()
    index.add(base)
    return index, time.perf_counter() - begun


def _faiss_ask(index: Any, *, nflip: int | None = None) -> Ask:
    def ask(asked: Packed, limit: int) -> Rows:
        if nflip is not None:
            index.nflip = nflip
        rows: Rows = index.search(asked, limit)[1]
        return rows

    return ask


def _usearch(base: Packed, *, graph: bool) -> list[Peer]:
    from usearch.index import Index, MetricKind, search  # noqa: PLC0415 - not in the locked environment

    def exact(asked: Packed, limit: int) -> Rows:
        found = search(base, asked, limit, MetricKind.Hamming, exact=True, threads=_THREADS)
        return np.asarray(found.keys, dtype=np.int64).reshape(len(asked), -1)

    peers = [Peer(name="usearch, exact", ask=exact, seconds_to_build=0.0, together=False)]
    if graph:
        begun = time.perf_counter()
        index = Index(ndim=base.shape[1] * 8, metric=MetricKind.Hamming, dtype="b1", expansion_search=400)
        index.add(np.arange(len(base)), base, threads=_THREADS)
        seconds = time.perf_counter() - begun

        def near(asked: Packed, limit: int) -> Rows:
            keys = np.asarray(index.search(asked, limit, threads=_THREADS).keys).reshape(len(asked), -1)
            return keys.astype(np.int64)

        peers.append(Peer(name="usearch, HNSW, expansion 400", ask=near, seconds_to_build=seconds))
    return peers
