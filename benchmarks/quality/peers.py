"""Other methods on the same files: PDQ, pHash and a plain network, by their distances.

A picture joins the cluster of its nearest predecessor within the limit: what people do who use such a hash. Which
predecessor is nearest does not depend on the limit, so any number of limits costs one pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.quality.views import Bits, Views
from neardup.evaluation.figures import Figures, judge
from neardup.evaluation.judgement import Judgement, Pair, judge_rows
from neardup.evaluation.manifest import Row
from neardup.types import ImageId, Vector

__all__ = ["PEERS", "Chain", "Peer"]

_LIMITS: Final = 256
_BLOCK: Final = 512

Distances = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """`between`: views, some rows, earlier rows -> distances (rows, earlier). `limit`: the usual one; None: there is
    none, it is set at the same wrong share."""

    name: str
    between: Callable[[Views, npt.NDArray[np.int64], npt.NDArray[np.int64]], Distances]
    limit: float | None


def _hamming(packed: Bits, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Distances:
    """Differing bits, by words of 64."""
    words = packed.view(np.uint64)
    total = np.zeros((len(rows), len(others)), dtype=np.float32)
    for column in range(words.shape[1]):
        total += np.bitwise_count(words[rows, column][:, None] ^ words[others, column][None, :])
    return total


def _angle(top: Vector, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Distances:
    return np.asarray(1 - top[rows] @ top[others].T, dtype=np.float32)


PEERS: Final = (
    Peer(name="PDQ", between=lambda views, rows, others: _hamming(views.pdq, rows, others), limit=31),
    Peer(name="pHash", between=lambda views, rows, others: _hamming(views.phash, rows, others), limit=8),
    Peer(name="Lite0 cosine", between=lambda views, rows, others: _angle(views.top, rows, others), limit=None),
)


class Chain:
    """The pictures in an order of arrival, each with its nearest predecessor: clusters for any limit."""

    def __init__(self, peer: Peer, rows: Sequence[Row], views: Views, *, seed: int) -> None:
        self._rows = rows
        self._truth = {row.image_id: row.source_id for row in rows}
        order = list(range(len(rows)))
        Random(seed).shuffle(order)
        self._order = np.array(order)
        self._nearest = np.zeros(len(rows), dtype=np.int64)
        self._distance = np.full(len(rows), np.inf, dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = self._order[start : start + _BLOCK]
            earlier = self._order[: start + len(block)]
            distances = peer.between(views, block, earlier)
            # Of its own block only what came before a picture is earlier.
            row, column = np.triu_indices(len(block))
            distances[row, start + column] = np.inf
            best = distances.argmin(axis=1)
            self._nearest[block] = earlier[best]
            self._distance[block] = distances[np.arange(len(block)), best]

    def judged(self, limit: float) -> Judgement:
        """Everything about the clusters of one limit."""
        none: dict[ImageId, Pair] = {}
        return judge_rows(self._rows, self._heads(limit), none, threshold=1.0)

    def limit_at(self, wrong_share: float) -> float:
        """The widest limit up to which no limit gives a larger wrong share; below 0 when even 0 is too wide."""
        seen = np.unique(self._distance[np.isfinite(self._distance)])
        allowed = -1.0
        for limit in seen[:: max(1, len(seen) // _LIMITS)].tolist():
            if self._figures(limit).wrong_share > wrong_share:
                break
            allowed = limit
        return allowed

    def _figures(self, limit: float) -> Figures:
        return judge(self._truth, self._heads(limit))

    def _heads(self, limit: float) -> dict[ImageId, ImageId]:
        heads: dict[ImageId, ImageId] = {}
        for number in self._order.tolist():
            own = self._rows[number].image_id
            near = self._rows[self._nearest[number]].image_id
            heads[own] = heads[near] if self._distance[number] <= limit else own
        return heads
