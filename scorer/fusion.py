"""First sight, points and thumbnails in one score: a logistic function whose weights are not negative, so whatever two
pictures have in common can only raise it. Learned apart from the sight: points must be able to make a match by
themselves."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from neardup.types import Vector
from scorer import geometry, overlay
from scorer.ops import Ops, Tensor

__all__ = ["CHECKED", "EVIDENCE", "OF_SIGHT", "fit_trust", "of_check", "of_sight"]

CHECKED: Final = len(geometry.NUMBERS) + len(overlay.NUMBERS)
"""Numbers that points and thumbnails say."""

_SIGHT_KNOTS: Final = (-4.0, 0.0)
_INLIER_KNOTS: Final = (3.0, 6.0, 12.0)
_WEIGHT_KNOTS: Final = (20.0, 35.0, 50.0, 65.0, 90.0)
_ALIKE_KNOTS: Final = (0.3, 0.45, 0.6, 0.75)
_MANY_ALIKE_KNOTS: Final = (1.2,)
"""Where the score begins to rise faster: of the sight, of the inliers, of their weight; of the share of alike blocks,
and of that times the logarithm of their number."""
_OF_POINTS: Final = 1 + len(_INLIER_KNOTS) + 5 + len(_WEIGHT_KNOTS)
_OF_THUMBNAILS: Final = 1 + len(_ALIKE_KNOTS) + 1 + len(_MANY_ALIKE_KNOTS)
OF_SIGHT: Final = 1 + len(_SIGHT_KNOTS)
"""Columns of evidence that the sight gives; they come first."""
EVIDENCE: Final = OF_SIGHT + _OF_POINTS + _OF_THUMBNAILS
_MANY: Final = OF_SIGHT
"""Column of the logarithm of the inliers."""
_RARE: Final = 5.0
"""How often a wrong pair with a few inliers, or a good sight, counts."""
_STEPS: Final = 400
_PULL: Final = 1e-3

Bools = npt.NDArray[np.bool_]
Floats64 = npt.NDArray[np.float64]


def of_sight(ops: Ops, sight: Tensor) -> Tensor:
    """Of the sight, (…, 1), the first columns of evidence: (…, OF_SIGHT). None falls when two pictures are more
    alike."""
    return ops.join([sight, *_above(ops, sight, _SIGHT_KNOTS, 1.0)])


def of_check(ops: Ops, numbers: Tensor) -> Tensor:
    """Of the numbers of the check, (…, CHECKED), the others: (…, EVIDENCE - OF_SIGHT). Zeros give zeros, and none falls
    when two pictures are more alike."""
    inliers, weight, area, their_area, share, compared, alike = ops.split(numbers, (1,) * CHECKED)
    # Of the side, not of the area; neither above 1.
    side, their_side = (ops.apply("Sqrt", ops.minimum(each, 1.0)) for each in (area, their_area))
    larger = ops.maximum(side, their_side)
    smaller = side + their_side - larger
    many = ops.apply("Log", inliers + 1.0)
    # One more, so that few blocks say less.
    alike_share = alike / (compared + 1.0)
    many_alike = ops.apply("Log", alike + 1.0) * alike_share
    return ops.join(
        [
            *(many, *_above(ops, inliers, _INLIER_KNOTS, 0.2)),
            *(ops.apply("Log", weight * 0.05 + 1.0), larger * many, smaller * many, share * many, share),
            *_above(ops, weight, _WEIGHT_KNOTS, 1 / 30),
            *(alike_share, *_above(ops, alike_share, _ALIKE_KNOTS, 1.0)),
            *(many_alike, *_above(ops, many_alike, _MANY_ALIKE_KNOTS, 1.0)),
        ]
    )


def _above(ops: Ops, values: Tensor, knots: tuple[float, ...], scale: float) -> list[Tensor]:
    return [ops.maximum(values - knot, 0.0) * scale for knot in knots]


def fit_trust(columns: Vector, same: Bools) -> tuple[Vector, Vector]:
    """Weights (EVIDENCE,), none negative, and bias (1,) of a logistic function, from the evidence of n pairs. Pairs
    that are wrong although they look right count five times. L-BFGS-B (Byrd et al., 1995)."""
    misleading = ~same & ((columns[:, _MANY] >= np.log1p(3) - 1e-6) | (columns[:, 0] > -2))
    counts = np.where(misleading, _RARE, 1.0)
    spread = columns.std(axis=0, dtype=np.float64) + 1e-6
    scaled = columns / spread

    def loss(weights: Floats64) -> tuple[float, Floats64]:
        logits = scaled @ weights[:-1] + weights[-1]
        surprise = counts * np.logaddexp(0, np.where(same, -logits, logits))
        slope = counts * (0.5 * (1 + np.tanh(0.5 * logits)) - same) / counts.sum()
        gradient = np.append(scaled.T @ slope + 2 * _PULL * weights[:-1], slope.sum())
        return float(surprise.sum() / counts.sum() + _PULL * (weights[:-1] ** 2).sum()), gradient

    found = minimize(
        loss,
        np.append(np.full(EVIDENCE, 0.1), -4.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * EVIDENCE + [(None, None)],
        options={"maxiter": _STEPS},
    )
    return (found.x[:-1] / spread).astype(np.float32), found.x[-1:].astype(np.float32)
