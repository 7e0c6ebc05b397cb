"""The shipped score and the numbers of the check in one score: a logistic function whose weights are not negative, so
points can only raise a score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from benchmarks.points.geometry import NUMBERS, check
from benchmarks.points.packing import POINTS
from neardup.evaluation.offline import Model
from neardup.types import Vector

__all__ = ["Sample", "Shipped", "Truth", "WithPoints", "learn"]

_WORTH_CHECKING: Final = -4.0
"""Shipped logit. Below it are most wrong pairs and next to no right ones."""
_KNOTS: Final = (20.0, 35.0, 50.0, 65.0, 90.0)
"""Of the weight of the inliers: they must be able to make a match by themselves."""
_RARE: Final = 10.0
"""How often a wrong pair with a few inliers, or a good score, counts."""
_SHIPPED: Final = 0
_INLIERS: Final = 3
"""Features: the shipped logit, and the logarithm of the inliers."""
_STEPS: Final = 400
_PULL: Final = 1e-3
_TINY: Final = 1e-7

Bools = npt.NDArray[np.bool_]
Floats64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped(Model):
    """The shipped scorer, its scores as logits. Embeddings carry packed points behind their own numbers."""

    def score(self, probes: Vector, candidates: Vector, overlap: npt.NDArray[np.int32]) -> Vector:
        scores = Model.score(self, probes[:, :-POINTS], candidates[:, :-POINTS], overlap).astype(np.float64)
        logits: Vector = np.log(np.clip(scores, _TINY, 1) / np.clip(1 - scores, _TINY, 1)).astype(np.float32)
        return logits


@dataclass(frozen=True, slots=True, kw_only=True)
class WithPoints(Shipped):
    """`weights`: of `learn`."""

    weights: Floats64

    def score(self, probes: Vector, candidates: Vector, overlap: npt.NDArray[np.int32]) -> Vector:
        features = _features(Shipped.score(self, probes, candidates, overlap), probes, candidates)
        logits: Vector = (features @ self.weights[:-1] + self.weights[-1]).astype(np.float32)
        return logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth(Model):
    """Every candidate is judged rightly: embeddings are two numbers that name the source."""

    def score(self, probes: Vector, candidates: Vector, overlap: npt.NDArray[np.int32]) -> Vector:  # noqa: ARG002
        same = (probes == candidates).all(axis=1)
        return np.where(same, np.float32(9), np.float32(-9))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Of n pairs to learn from the `features`, and whether both pictures show the `same`, (n,)."""

    features: Floats64
    same: Bools

    @classmethod
    def of(
        cls, shipped: Shipped, probes: Vector, candidates: Vector, overlap: npt.NDArray[np.int32], same: Bools
    ) -> Self:
        """Of the embeddings of pairs, their overlap and the truth."""
        return cls(_features(shipped.score(probes, candidates, overlap), probes, candidates), same)


def learn(samples: Sequence[Sample]) -> Floats64:
    """The weights of the features, and the bias last."""
    features = np.concatenate([each.features for each in samples])
    same = np.concatenate([each.same for each in samples])
    ambiguous = ~same & ((features[:, _INLIERS] >= np.log1p(3)) | (features[:, _SHIPPED] > -2))
    return _fitted(features, same, np.where(ambiguous, _RARE, 1.0))


def _features(logits: Vector, probes: Vector, candidates: Vector) -> Floats64:
    """Shape (n, features); none falls when pictures are more alike."""
    numbers = np.zeros((len(logits), len(NUMBERS)))
    near = np.flatnonzero(logits > _WORTH_CHECKING)
    numbers[near] = check(probes[near, -POINTS:].astype(np.float32), candidates[near, -POINTS:].astype(np.float32))
    inliers, weight, *areas, share = numbers.T
    smaller, larger = np.sqrt(np.sort(np.clip(areas, 0, 1), axis=0))
    many = np.log1p(inliers)

    def above(values: npt.NDArray[np.floating], knot: float) -> Floats64:
        return np.maximum(0, values.astype(np.float64) - knot)

    columns = (
        *(logits.astype(np.float64), above(logits, -4), above(logits, 0)),
        *(many, above(inliers, 3) / 5, above(inliers, 6) / 5, above(inliers, 12) / 10),
        *(np.log1p(weight / 20), larger * many, smaller * many, share * many, share),
        *(above(weight, knot) / 30 for knot in _KNOTS),
    )
    return np.stack(columns, axis=1)


def _fitted(features: Floats64, same: Bools, counts: Floats64) -> Floats64:
    spread = features.std(axis=0) + 1e-6
    scaled = features / spread

    def loss(weights: Floats64) -> tuple[float, Floats64]:
        logits = scaled @ weights[:-1] + weights[-1]
        surprise = counts * np.logaddexp(0, np.where(same, -logits, logits))
        slope = counts * (1 / (1 + np.exp(-logits)) - same) / counts.sum()
        gradient = np.append(scaled.T @ slope + 2 * _PULL * weights[:-1], slope.sum())
        return float(surprise.sum() / counts.sum() + _PULL * (weights[:-1] ** 2).sum()), gradient

    count = features.shape[1]
    found = minimize(
        loss,
        np.append(np.full(count, 0.1), -4.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * count + [(None, None)],
        options={"maxiter": _STEPS},
    )
    weights: Floats64 = np.append(found.x[:-1] / spread, found.x[-1])
    return weights
