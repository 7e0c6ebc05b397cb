"""Pairs to train the scorer on and to judge it by: from embedded pictures and their copies.

Embeddings come as blocks of shape (images, 1 + copies, dimension): the original first, then its edited copies. Every
two rows of one image are near-duplicates, every two rows of different images are not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.embedder.signs import SIGN_NUMBERS
from neardup.lsh import LshModel, overlaps
from neardup.messages import half
from neardup.types import PairBatch, Vector
from scorer.fusion import EVIDENCE, fit_trust
from scorer.network import AFTER_CONTENT, Network, Sight, check, evidence
from scorer.ops import NUMPY

__all__ = ["EmbeddedCopies", "Lesson", "Pairs", "candidate_pairs", "near_copies", "with_trust"]

Rows = npt.NDArray[np.intp]
_BLOCK: Final = 1024
_COMMON: Final = 4
_COMMON_SHARE: Final = 0.55
"""Inliers, and the share of alike blocks where they lay one picture on the other, from which on pictures have a good
part in common."""


@dataclass(frozen=True, slots=True)
class EmbeddedCopies:
    """`lsh` and `score`: shape (images, 1 + copies, dimension)."""

    lsh: Vector
    score: Vector

    @property
    def owner(self) -> Rows:
        """The image of each row, shape (images * (1 + copies),)."""
        return np.repeat(np.arange(self.lsh.shape[0]), self.lsh.shape[1])

    def without(self, images: Collection[int]) -> "EmbeddedCopies":
        kept = [image for image in range(len(self.lsh)) if image not in images]
        return EmbeddedCopies(self.lsh[kept], self.score[kept])

    @property
    def score_rows(self) -> Vector:
        return self.score.reshape(-1, self.score.shape[-1])

    @property
    def lsh_rows(self) -> Vector:
        return self.lsh.reshape(-1, self.lsh.shape[-1])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Row numbers of probes and candidates, their term overlap and whether they show one image; each of shape (n,)."""

    probe: Rows
    candidate: Rows
    overlap: npt.NDArray[np.int32]
    truth: npt.NDArray[np.bool_]

    def inputs(self, score_rows: Vector, chosen: Rows) -> tuple[Vector, Vector, Vector]:
        """Probes, candidates and overlaps of some of them, as the formula takes them."""
        overlap = self.overlap[chosen, None].astype(np.float32)
        return score_rows[self.probe[chosen]], score_rows[self.candidate[chosen]], overlap

    def batch(self, score_rows: Vector) -> PairBatch:
        scores = half(score_rows)
        return PairBatch(probes=scores, candidates=scores[self.candidate], probe_of=self.probe, overlap=self.overlap)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the scorer learns from: score embeddings (m, dimension), the image of each row (m,), and pairs of rows."""

    score_rows: Vector
    owner: Rows
    pairs: Pairs

    def with_judged(self, embeddings: EmbeddedCopies, same: npt.NDArray[np.bool_], lsh: LshModel) -> "Lesson":
        """And with n pairs that people judged: `embeddings` has blocks (n, 2, dimension), `same` shape (n,)."""
        first = len(self.owner)
        probe = first + 2 * np.arange(len(same))
        codes = lsh.codes(embeddings.lsh[:, 1])
        queries = lsh.query_codes(embeddings.lsh[:, 0])
        overlap = [int(overlaps(query, code[None])[0]) for query, code in zip(queries, codes, strict=True)]
        before = self.pairs
        return Lesson(
            np.concatenate([self.score_rows, embeddings.score_rows]),
            np.concatenate([self.owner, self.owner.max(initial=0) + 1 + np.arange(2 * len(same))]),
            Pairs(
                np.concatenate([before.probe, probe]),
                np.concatenate([before.candidate, probe + 1]),
                np.concatenate([before.overlap, np.array(overlap, np.int32)]),
                np.concatenate([before.truth, same]),
            ),
        )


def candidate_pairs(copies: EmbeddedCopies, lsh: LshModel, *, probes: Rows, corpus: Rows, limit: int) -> Pairs:
    """What an exact search would give: for each probe row its top `limit` rows of the corpus by term overlap. Without
    pairs of one shared term, which are many and teach little (docs/models.md)."""
    codes = lsh.codes(copies.lsh_rows[corpus])
    queries = lsh.query_codes(copies.lsh_rows[probes])
    found: list[tuple[Rows, Rows, npt.NDArray[np.int32]]] = []
    for row, query in zip(probes, queries, strict=True):
        counts = overlaps(query, codes)
        counts[corpus == row] = 0
        best = np.argsort(-counts, kind="stable")[:limit]
        best = best[counts[best] > 1]
        found.append((np.full(len(best), row), corpus[best], counts[best]))
    probe, candidate, overlap = (np.concatenate(column) for column in zip(*found, strict=True))
    return Pairs(probe, candidate, overlap, copies.owner[probe] == copies.owner[candidate])


def near_copies(originals: EmbeddedCopies, pairs: Pairs) -> set[int]:
    """Numbers of the images that have a good part in common with an earlier one. The same photo is in several figures
    of a manual: they must not be learned from as different pictures."""
    looks = originals.score_rows[:, SIGN_NUMBERS - AFTER_CONTENT :]
    unknown = np.zeros((_BLOCK, 1), np.float32)
    numbers = [
        check(NUMPY, looks[probe], looks[candidate], unknown[: len(probe)], unknown[: len(probe)])
        for probe, candidate in zip(_blocks(pairs.probe), _blocks(pairs.candidate), strict=True)
    ]
    inliers, *_, compared, alike = np.concatenate(numbers).T
    common = (inliers >= _COMMON) & (alike >= _COMMON_SHARE * (compared + 1))
    dropped: set[int] = set()
    for ends in np.unique(np.sort(np.stack([pairs.probe, pairs.candidate], axis=1)[common], axis=1), axis=0).tolist():
        if ends[0] not in dropped:
            dropped.add(ends[1])
    return dropped


def with_trust(sight: Sight, taught: Sequence[tuple[Vector, Pairs]]) -> Network:
    """The network that begins with this sight, and trusts it and the points as far as pairs teach that the sight was
    not trained on: score embeddings (m, dimension) and pairs of them, any number of times."""
    columns = [_evidence(sight, score_rows, pairs) for score_rows, pairs in taught]
    truth = np.concatenate([pairs.truth for _, pairs in taught])
    return Network(sight, *fit_trust(np.concatenate(columns), truth), sure=np.zeros(2, np.float32))


def _evidence(sight: Sight, score_rows: Vector, pairs: Pairs) -> Vector:
    """Shape (n, EVIDENCE)."""
    columns = [evidence(NUMPY, sight, *pairs.inputs(score_rows, rows)) for rows in _blocks(np.arange(len(pairs.probe)))]
    return np.concatenate([np.empty((0, EVIDENCE), np.float32), *columns])


def _blocks(rows: Rows) -> list[Rows]:
    """What is computed at a time."""
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
