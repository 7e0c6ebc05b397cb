"""The truth: term overlap counted with numpy, in blocks; ties by row, which is the order of seq."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neardup.types import Code

__all__ = ["Truth", "brute_force", "postings", "recall_of_originals", "recall_of_top"]

_ROWS_AT_ONCE = 4_096

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Truth:
    """The true list of one query. `counts`: the overlap of every row of the corpus, shape (n,), uint8."""

    rows: Rows
    counts: npt.NDArray[np.uint8]

    @property
    def ranked(self) -> list[tuple[int, int]]:
        """(row, overlap), best first."""
        return list(zip(self.rows.tolist(), self.counts[self.rows].tolist(), strict=True))


def brute_force(query: npt.NDArray[np.uint16], codes: Code, limit: int, *, minimum_overlap: int = 1) -> Truth:
    """The top of the corpus for one query of shape (tables, 1 + probes)."""
    counts = overlaps_of_all(query, codes)
    cut = max(minimum_overlap, _overlap_of_last(counts, limit))
    able = np.flatnonzero(counts >= cut)
    order = np.lexsort((able, -counts[able].astype(np.int64)))
    return Truth(able[order[:limit]], counts)


def overlaps_of_all(query: npt.NDArray[np.uint16], codes: Code) -> npt.NDArray[np.uint8]:
    """What neardup.lsh.overlaps counts, for all rows, shape (n,): in blocks that fit the processor's cache."""
    counts = np.empty(len(codes), dtype=np.uint8)
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        block = codes[start : start + _ROWS_AT_ONCE]
        shared = block == query[:, 0]
        for column in query.T[1:]:
            shared |= block == column
        np.bitwise_count(np.packbits(shared, axis=1)).sum(
            axis=1, dtype=np.uint8, out=counts[start : start + len(block)]
        )
    return counts


def _overlap_of_last(counts: npt.NDArray[np.uint8], limit: int) -> int:
    """The largest overlap that at least `limit` rows reach; 0 when the corpus is smaller than that."""
    reaching = np.bincount(counts, minlength=1)[::-1].cumsum()[::-1]
    return int(np.flatnonzero(reaching >= limit).max(initial=0))


def postings(codes: Code, queries: npt.NDArray[np.uint16], buckets: int) -> npt.NDArray[np.int64]:
    """How many postings each query (n, tables, 1 + probes) meets in the corpus, shape (n,)."""
    found = np.zeros(len(queries), dtype=np.int64)
    for table in range(codes.shape[1]):
        held = np.bincount(codes[:, table], minlength=buckets)
        found += held[queries[:, table]].sum(axis=1)
    return found


def recall_of_top(truths: Iterable[Truth], found: Iterable[Rows]) -> float:
    """Mean share of the true top that was found; a row with the overlap of the last true one counts as right."""
    shares = []
    for truth, rows in zip(truths, found, strict=True):
        if len(truth.rows):
            right = int((truth.counts[rows[rows >= 0]] >= truth.counts[truth.rows[-1]]).sum())
            shares.append(min(right, len(truth.rows)) / len(truth.rows))
    return float(np.mean(shares))


def recall_of_originals(originals: Rows, found: Sequence[Rows]) -> float:
    """Share of the queries with an original whose original was found."""
    hits = [original in rows for original, rows in zip(originals.tolist(), found, strict=True) if original >= 0]
    return float(np.mean(hits))
