"""Points of a picture as numbers that could follow its score embedding.

A point is `POINT` whole numbers below 2048, which float16 holds exactly: its place (three numbers, see `Described`) and
the signs of its projected histogram, 11 to a number. A point that is not there is all zeros. A mirror image leaves the
first `EVEN` signs and negates the others, so straight and mirrored are compared at once.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from benchmarks.points.points import COUNT, MIRRORED, Described
from benchmarks.points.scale_space import Floats

__all__ = ["BITS", "EVEN", "POINT", "POINTS", "SIGNS", "WORDS", "Projection", "rotated_axes"]

BITS: Final = 11
"""Of a number."""
WORDS: Final = 6
"""Numbers that hold signs."""
SIGNS: Final = BITS * WORDS
EVEN: Final = SIGNS // 2
POINT: Final = 3 + WORDS
POINTS: Final = COUNT * POINT
_SAMPLE: Final = 60_000
_TINY: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """`mean` (128,) of the even halves of histograms, and directions: `even` (128, EVEN), `odd` (128, SIGNS - EVEN)."""

    mean: Floats
    even: Floats
    odd: Floats

    @classmethod
    def learn(cls, histograms: Floats) -> Self:
        """From the histograms of many points, (n, 128)."""
        even, odd = _halves(histograms)
        mean = even.mean(axis=0)
        return cls(mean, rotated_axes(even - mean, EVEN), rotated_axes(odd, SIGNS - EVEN))

    def pack(self, described: Described) -> Floats:
        """Shape (POINTS,), float32."""
        packed = np.zeros((COUNT, POINT), np.float32)
        even, odd = _halves(described.histograms)
        signs = np.concatenate([(even - self.mean) @ self.even, odd @ self.odd], axis=1) > 0
        words = signs.reshape(len(signs), WORDS, BITS) @ (2.0 ** np.arange(BITS))
        packed[: len(signs)] = np.concatenate([described.places, words], axis=1)
        return packed.ravel()


def rotated_axes(values: Floats, count: int) -> Floats:
    """Principal axes of rows around zero, (width, count), rotated at random: each direction tells equally much."""
    chosen = np.random.default_rng(0).choice(len(values), min(_SAMPLE, len(values)), replace=False)
    sample = values[chosen].astype(np.float64)
    variances, axes = np.linalg.eigh(sample.T @ sample / max(1, len(sample)))
    top = axes[:, ::-1][:, : min(count, int((variances > _TINY).sum()))]
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(count, count)))
    directions: Floats = (top @ rotation[: top.shape[1]]).astype(np.float32)
    return directions


def _halves(histograms: Floats) -> tuple[Floats, Floats]:
    """What a mirror image leaves, and what it negates."""
    mirrored: Floats = histograms[:, MIRRORED]
    half = np.float32(0.5)
    return half * (histograms + mirrored), half * (histograms - mirrored)
