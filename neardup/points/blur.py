"""Gaussian blur: a product with a matrix for the rows and one for the columns, in strips, for far away there are only
zeros. Pure numpy.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "blurred"]

_STRIP: Final = 64

Floats = npt.NDArray[np.float32]


def blurred(picture: Floats, sigmas: tuple[float, ...]) -> Floats:
    """A picture, (height, width), blurred by each of the sigmas, in pixels: (sigmas, height, width)."""
    every = np.empty((len(sigmas), *picture.shape), np.float32)
    for sigma, both in zip(sigmas, every, strict=True):
        rows = np.empty_like(picture)
        for strip, near, weights in _strips(len(picture), sigma):
            np.matmul(weights, picture[near], out=rows[strip])
        for strip, near, weights in _strips(picture.shape[1], sigma):
            np.matmul(rows[:, near], weights.T, out=both[:, strip])
    return every


@lru_cache(256)
def _strips(length: int, sigma: float) -> list[tuple[slice, slice, Floats]]:
    """A Gaussian, of mass 1 also at the ends, as matrices: some places, those that are near enough to count for one of
    them, and their weights."""
    reach = int(4 * sigma + 1)
    heights = np.append(np.exp(-(np.arange(reach + 1) ** 2) / (2 * sigma**2)), 0.0)
    strips = []
    for start in range(0, length, _STRIP):
        strip = slice(start, min(start + _STRIP, length))
        near = slice(max(0, start - reach), min(length, strip.stop + reach))
        apart = np.abs(np.arange(length)[strip, None] - np.arange(length)[near])
        weights = heights[np.minimum(apart, reach + 1)]
        strips.append((strip, near, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)))
    return strips
