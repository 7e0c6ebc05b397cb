"""What embeddings say after their content, of images that do not exist, packed as by the default embedder: for what
needs embeddings by the thousand."""

from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.embedder.signs import SIGN_NUMBERS
from neardup.embedder.thumbnail import CODES, SIDE, THUMBNAIL
from neardup.points.axes import WORD_BITS
from neardup.points.describe import COUNT
from neardup.points.packing import BITS, POINT, POINTS
from neardup.types import Vector
from scorer.network import AFTER_CONTENT

__all__ = ["copied", "copied_words", "made_up", "made_up_words"]

_NUMBERS: Final = 1 << WORD_BITS
_WORDS: Final = 32
"""Of a picture: a third of the points are missing, have a stop word, or the word of another."""
_FLATNESS: Final = 1_080.0
"""Words that are about as frequent as the first: the smaller, the more postings."""


def made_up(rng: np.random.Generator, count: int) -> Vector:
    """Random signs, points anywhere, of any size and direction, that look like anything, and thumbnails twice as wide
    as high or less: (count, AFTER_CONTENT)."""
    signs = rng.integers(0, 2**BITS, (count, SIGN_NUMBERS))
    points = rng.integers(0, 2**BITS, (count, COUNT, POINT))
    points[:, :, :2] = rng.integers(0, 256, (count, COUNT, 2))
    points[:, :, 2] = rng.integers(64, 64 * 20, (count, COUNT))
    parts = [signs, points.reshape(count, POINTS), _thumbnails(rng, count)]
    numbers: Vector = np.concatenate(parts, axis=1).astype(np.float32)
    return numbers


def copied(rng: np.random.Generator, numbers: Vector, *, changed: float) -> Vector:
    """The same with a share of the signs negated, those of points as well, and of the cells of the thumbnail others:
    (count, AFTER_CONTENT)."""
    whole, thumbnails = np.split(numbers.astype(np.int64), [AFTER_CONTENT - THUMBNAIL], axis=1)
    flips = ((rng.random((*whole.shape, BITS)) < changed) << np.arange(BITS)).sum(axis=2)
    # Places stay: the same picture, not a crop of it.
    flips[:, SIGN_NUMBERS:].reshape(len(whole), COUNT, POINT)[:, :, :3] = 0
    others = rng.random(thumbnails.shape) < changed
    # Nor does its shape change.
    others[:, 0] = False
    seen = np.where(others, _thumbnails(rng, len(whole)), thumbnails)
    changed_numbers: Vector = np.concatenate([whole ^ flips, seen], axis=1).astype(np.float32)
    return changed_numbers


def _thumbnails(rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    thumbnails = rng.integers(0, CODES, (count, THUMBNAIL))
    thumbnails[:, 0] = SIDE - 1 + SIDE * rng.integers(SIDE // 2, SIDE, count)
    return thumbnails


def made_up_words(rng: np.random.Generator, count: int) -> Vector:
    """Ends of LSH embeddings, (count, 2 * COUNT): 32 words each, draws from a Zipf-Mandelbrot law over 22 bits, flat
    enough that those of a query meet about 14,000 postings a million images, as those of pictures do
    (docs/quality.md)."""
    # The inverse of the law's distribution, as if it were continuous: ranks by 1 / (rank + _FLATNESS).
    ranks = _FLATNESS * ((1 + _NUMBERS / _FLATNESS) ** rng.random((count, _WORDS)) - 1)
    numbers = (ranks.astype(np.int64) * 0x9E3779B1) % _NUMBERS
    words = np.stack(np.divmod(numbers, 2**BITS), axis=2).reshape(count, 2 * _WORDS).astype(np.float32) + 1
    return np.pad(words, ((0, 0), (0, 2 * (COUNT - _WORDS))))


def copied_words(rng: np.random.Generator, words: Vector) -> Vector:
    """Half of them are others."""
    other = np.repeat(rng.random((len(words), COUNT)) < 0.5, 2, axis=1)
    return np.where(other, made_up_words(rng, len(words)), words)
