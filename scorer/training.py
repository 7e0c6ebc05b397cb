"""Training the scorer: pairs from embedded pictures and their copies, then Adam in numpy.

Embeddings come as blocks of shape (images, 1 + copies, dimension): the original first, then its edited copies. Every
two rows of one image are near-duplicates, every two rows of different images are not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neardup.lsh import LshModel, overlaps
from neardup.types import PairBatch, Vector
from scorer.network import Network

__all__ = ["EmbeddedCopies", "Pairs", "candidate_pairs", "fit_network"]

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class EmbeddedCopies:
    """`lsh` and `score`: shape (images, 1 + copies, dimension)."""

    lsh: Vector
    score: Vector

    @property
    def owner(self) -> Rows:
        """The image of each row, shape (images * (1 + copies),)."""
        return np.repeat(np.arange(self.lsh.shape[0]), self.lsh.shape[1])

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

    def batch(self, score_rows: Vector, chosen: Rows | slice = slice(None)) -> PairBatch:
        return PairBatch(
            probes=score_rows[self.probe[chosen]],
            candidates=score_rows[self.candidate[chosen]],
            overlap=self.overlap[chosen],
        )


def candidate_pairs(
    copies: EmbeddedCopies, lsh: LshModel, *, probes: Rows, corpus: Rows, limit: int, minimum_overlap: int = 2
) -> Pairs:
    """What an exact search would give: for each probe row its top `limit` rows of the corpus by term overlap."""
    codes = lsh.codes(copies.lsh_rows[corpus])
    queries = lsh.query_codes(copies.lsh_rows[probes])
    found: list[tuple[Rows, Rows, npt.NDArray[np.int32]]] = []
    for row, query in zip(probes, queries, strict=True):
        counts = overlaps(query, codes)
        counts[corpus == row] = 0
        best = np.argsort(-counts, kind="stable")[:limit]
        best = best[counts[best] >= minimum_overlap]
        found.append((np.full(len(best), row), corpus[best], counts[best]))
    probe, candidate, overlap = (np.concatenate(column) for column in zip(*found, strict=True))
    return Pairs(probe, candidate, overlap, copies.owner[probe] == copies.owner[candidate])


def fit_network(
    copies: EmbeddedCopies, pairs: Pairs, *, seed: int, epochs: int, advance: Callable[[float], object]
) -> Network:
    """Calls `advance` with the mean loss after every epoch. The learning rate falls to 0 along a cosine."""
    rng = np.random.default_rng(seed)
    score_rows = copies.score_rows
    network = Network.initial(score_rows.shape[1], seed)
    means = [np.zeros_like(array) for array in network.arrays()]
    squares = [np.zeros_like(array) for array in network.arrays()]
    size, step = 1024, 0
    steps = epochs * -(-len(pairs.probe) // size)
    for _ in range(epochs):
        losses = []
        order = rng.permutation(len(pairs.probe))
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            truth = pairs.truth[chosen].astype(np.float32)
            loss, gradient = network.gradient(pairs.batch(score_rows, chosen), truth)
            losses.append(loss)
            step += 1
            rate = 0.01 * 0.5 * (1 + np.cos(np.pi * step / steps))
            for number, (array, slope) in enumerate(zip(network.arrays(), gradient.arrays(), strict=True)):
                means[number] += 0.1 * (slope - means[number])
                squares[number] += 0.001 * (slope * slope - squares[number])
                size_of_step = np.sqrt(squares[number] / (1 - 0.999**step)) + 1e-8
                array[...] -= rate * (means[number] / (1 - 0.9**step)) / size_of_step
        advance(float(np.mean(losses)))
    return network
