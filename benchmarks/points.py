"""Points of images that do not exist, packed as by the default embedder: for what needs embeddings by the thousand."""

from typing import Final

import numpy as np

from neardup.embedder.signs import SIGN_NUMBERS
from neardup.points.describe import COUNT
from neardup.points.packing import BITS, POINT, POINTS
from neardup.types import Vector

__all__ = ["AFTER_CONTENT", "copied", "made_up"]

AFTER_CONTENT: Final = SIGN_NUMBERS + POINTS
"""Numbers of a score embedding after the content: signs of low frequencies, and points."""


def made_up(rng: np.random.Generator, count: int) -> Vector:
    """Random signs, and points anywhere, of any size and direction, that look like anything: (count, AFTER_CONTENT)."""
    signs = rng.integers(0, 2**BITS, (count, SIGN_NUMBERS))
    points = rng.integers(0, 2**BITS, (count, COUNT, POINT))
    points[:, :, :2] = rng.integers(0, 256, (count, COUNT, 2))
    points[:, :, 2] = rng.integers(64, 64 * 20, (count, COUNT))
    numbers: Vector = np.concatenate([signs, points.reshape(count, POINTS)], axis=1).astype(np.float32)
    return numbers


def copied(rng: np.random.Generator, numbers: Vector, *, changed: float) -> Vector:
    """The same with a share of the signs negated, those of points as well: (count, AFTER_CONTENT)."""
    whole = numbers.astype(np.int64)
    flips = ((rng.random((*whole.shape, BITS)) < changed) << np.arange(BITS)).sum(axis=2)
    # Places stay: the same picture, not a crop of it.
    flips[:, SIGN_NUMBERS:].reshape(len(whole), COUNT, POINT)[:, :, :3] = 0
    changed_numbers: Vector = (whole ^ flips).astype(np.float32)
    return changed_numbers
