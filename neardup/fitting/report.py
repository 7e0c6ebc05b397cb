"""What to expect of an LSH model, measured on a sample: are terms balanced, what does a query cost, what is found.

A corpus of N images that are no near-duplicates of the probe is imagined from the sample: their overlaps with a probe
are distributed as those within the sample. Beyond what the sample can show, the tail goes on as it ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import poisson

from neardup.lsh import LshModel, overlaps
from neardup.projection import unit_rows
from neardup.types import Code, Vector
from neardup.words import NO_WORD, count_tables

__all__ = ["CORPUS_SIZES", "Figures", "SearchShape", "altered", "measure"]

CORPUS_SIZES: Final = (1_000_000, 100_000_000)

_MOST_PROBES: Final = 800
_FEW: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchShape:
    """How images are searched: see the settings of these names."""

    probes: int
    candidate_limit: int
    minimum_overlap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`largest_list`: images that share the most frequent term, as a share of the sample. `postings`: expected postings
    a query, for each of CORPUS_SIZES. `largest_by_chance` and `ideal`: both, if all buckets were equally frequent and
    no image had words. `cutoffs`: the overlap that the last candidate is expected to have. `recall`: for each set of
    pairs, the share that is expected among the candidates.
    """

    largest_list: float
    largest_by_chance: float
    postings: tuple[float, ...]
    ideal: tuple[float, ...]
    cutoffs: tuple[int, ...]
    recall: Mapping[str, tuple[float, ...]]

    @property
    def balanced(self) -> bool:
        """Whether a query costs at most three times the ideal and no list is far longer than chance makes it."""
        return self.postings[0] <= 3 * self.ideal[0] and self.largest_list <= 4 * self.largest_by_chance


def measure(lsh: LshModel, images: Vector, pairs: Mapping[str, tuple[Vector, Vector]], shape: SearchShape) -> Figures:
    """`images` (n, d): different images. `pairs`: for each name probes (m, d) and their near-duplicates (m, d)."""
    rows = np.random.default_rng(0).permutation(len(images))
    codes = lsh.codes(images[rows])
    asked = rows[:_MOST_PROBES]
    counts = _overlap_counts(lsh.query_codes(images[asked], probes=shape.probes), codes)
    others = counts.sum()
    mean_overlap = float(counts @ np.arange(len(counts)) / others)
    cutoffs = tuple(_cutoff(counts, size, shape.candidate_limit) for size in CORPUS_SIZES)
    least = [max(cutoff, shape.minimum_overlap) for cutoff in cutoffs]
    buckets = 2**lsh.bits_per_table
    return Figures(
        largest_list=_largest_list(codes) / len(codes),
        largest_by_chance=_largest_by_chance(len(codes), lsh.tables, buckets) / len(codes),
        postings=tuple(size * mean_overlap for size in CORPUS_SIZES),
        ideal=tuple(size * lsh.tables * (1 + shape.probes) / buckets for size in CORPUS_SIZES),
        cutoffs=cutoffs,
        recall={name: _recall(lsh, *both, least, shape.probes) for name, both in pairs.items()},
    )


def altered(embeddings: Vector, *, cosine: float) -> Vector:
    """Made-up copies (n, d) for samples without known near-duplicates: each keeps this cosine, around the mean, with
    its original (n, d); what is added is another image's deviation from the mean."""
    rows = unit_rows(embeddings).astype(np.float64)
    mean = rows.mean(axis=0)
    own = rows - mean
    order = np.random.default_rng(0).permutation(len(rows))
    other = own[np.roll(order, 1)[np.argsort(order)]]
    # Only what is new in the other one, and as long as the own: then the cosine is exact.
    other -= own * ((own * other).sum(axis=1, keepdims=True) / (own * own).sum(axis=1, keepdims=True))
    other *= np.linalg.norm(own, axis=1, keepdims=True) / np.linalg.norm(other, axis=1, keepdims=True)
    copies: Vector = (mean + cosine * own + np.sqrt(1 - cosine**2) * other).astype(np.float32)
    return copies


def _overlap_counts(queries: Code, codes: Code) -> npt.NDArray[np.int64]:
    """How many pairs of a query and another image have overlap 0, 1 … tables + words. Query i is that of image i."""
    total = np.zeros(codes.shape[1] + 1, dtype=np.int64)
    for number, query in enumerate(queries):
        total += np.bincount(np.delete(overlaps(query, codes), number), minlength=len(total))
    return total


def _cutoff(counts: npt.NDArray[np.int64], size: int, limit: int) -> int:
    """The smallest overlap that at most `limit` of `size` other images are expected to have or exceed."""
    reaching = counts[::-1].cumsum()[::-1].astype(np.float64)
    share = reaching / reaching[0]
    shown = int(np.flatnonzero(reaching >= _FEW)[-1])
    back = max(shown - 3, 0)
    # Where the sample ends, the tail goes on falling by the factor of its last steps.
    factor = (share[shown] / share[back]) ** (1 / (shown - back)) if shown > back else 0.0
    for overlap in range(len(share) + 1):
        expected = share[overlap] if overlap <= shown else share[shown] * factor ** (overlap - shown)
        if size * expected <= limit:
            return overlap
    return len(share)


def _recall(lsh: LshModel, probes: Vector, copies: Vector, least: Sequence[int], flips: int) -> tuple[float, ...]:
    codes, queries = lsh.codes(copies), lsh.query_codes(probes, probes=flips)
    overlap = np.array([overlaps(query, code[None])[0] for query, code in zip(queries, codes, strict=True)])
    return tuple(float((overlap >= wanted).mean()) for wanted in least)


def _largest_list(codes: Code) -> int:
    tables = count_tables(codes[0])
    words = codes[:, tables:]
    counts = [np.bincount(column) for column in codes[:, :tables].T]
    counts.append(np.unique(words[words != NO_WORD], return_counts=True)[1])
    return max(int(each.max(initial=0)) for each in counts)


def _largest_by_chance(rows: int, tables: int, buckets: int) -> int:
    """The length that less than one list is expected to exceed when all are equally probable."""
    return int(poisson.isf(1 / (tables * buckets), rows / buckets)) + 1
