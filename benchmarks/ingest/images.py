"""The images: a corpus that is there before, and streams that arrive. Pure numpy, no I/O.

The LSH embedding has a power-law spectrum, as in `benchmarks.search.corpus`; the score embedding is the same and after
it random signs, in the layout of the default embedder. Copies carry noise and a few other signs, which the shipped
scorer takes for near-duplicates; unrelated images are far below its threshold.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.made_up import copied, copied_words, made_up, made_up_words
from benchmarks.search.corpus import DIMENSION, SPECTRUM
from neardup.types import ImageId, Vector

__all__ = ["BLOCK", "Images", "burst", "corpus", "corpus_copy", "image_id", "stream"]

BLOCK: Final = 5_000
_COPIES: Final = 0.2
_NOISE: Final = (0.05, 0.3)
_FLIPPED: Final = 0.03
_FROM_CORPUS: Final = 0.5
_SEED: Final = 61_126


@dataclass(frozen=True, slots=True)
class Images:
    """`lsh` of shape (n, 352), `score` of shape (n, 1055), as the default embedder makes them. `parents`: the row of
    the corpus, if not negative, that an image is a copy of; -1 for none, and -2 - k for row k of the same images."""

    lsh: Vector
    score: Vector
    parents: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lsh)

    def rows(self, rows: slice) -> "Images":
        return Images(self.lsh[rows], self.score[rows], self.parents[rows])


@lru_cache(maxsize=2)
def corpus(block: int) -> Images:
    """One block of the corpus: the last fifth are copies of images of the first fifth."""
    rng = np.random.default_rng([_SEED, block])
    copies = int(BLOCK * _COPIES)
    parents = np.full(BLOCK, -1, dtype=np.int64)
    parents[-copies:] = np.arange(copies) + block * BLOCK
    lsh, score = _fresh(rng, BLOCK)
    lsh[-copies:], score[-copies:] = _copies(rng, lsh[:copies], score[:copies])
    return Images(lsh, score, parents)


def corpus_copy(row: int) -> int | None:
    """The row of the first block that is a copy of this row of it, if there is one."""
    copies = int(BLOCK * _COPIES)
    return BLOCK - copies + row if row < copies else None


def stream(name: str, part: int, count: int, *, duplicates: float) -> Images:
    """`count` images that arrive together. A share of them are copies: half of an image of the corpus' first block,
    half of one of these very images."""
    rng = np.random.default_rng([_SEED, part, *name.encode()])
    lsh, score = _fresh(rng, count)
    parents = np.full(count, -1, dtype=np.int64)
    old = corpus(0)
    originals = int(BLOCK * (1 - _COPIES))
    own = Images(lsh, score, parents)
    for row in np.flatnonzero(rng.random(count) < duplicates).tolist():
        if row == 0 or rng.random() < _FROM_CORPUS:
            parent = int(rng.integers(originals))
        else:
            other = int(rng.integers(row))
            # Of its original if it is a copy: noise upon noise would leave the cluster in the end.
            parent = int(parents[other]) if parents[other] != -1 else -2 - other
        parents[row] = parent
        source, at = (old, parent) if parent >= 0 else (own, -2 - parent)
        lsh[row : row + 1], score[row : row + 1] = _copies(rng, source.lsh[at][None], source.score[at][None])
    return own


def burst(count: int) -> Images:
    """Copies of one image that nothing resembles."""
    rng = np.random.default_rng([_SEED, count, 1])
    lsh, score = _fresh(rng, 1)
    copies = _copies(rng, np.repeat(lsh, count, axis=0), np.repeat(score, count, axis=0))
    return Images(*copies, np.full(count, -2, dtype=np.int64))


def image_id(name: str, row: int) -> ImageId:
    """16 hex digits without an order, as digests are."""
    return ImageId(hashlib.blake2b(f"{name}/{row}".encode(), digest_size=8).hexdigest())


def _fresh(rng: np.random.Generator, count: int) -> tuple[Vector, Vector]:
    content = _unit(_spectral(rng, count))
    after = made_up_words(rng, count), made_up(rng, count)
    lsh, score = (np.concatenate([content, each], axis=1) for each in after)
    return lsh, score


def _copies(rng: np.random.Generator, lsh: Vector, score: Vector) -> tuple[Vector, Vector]:
    length = rng.uniform(*_NOISE, (len(lsh), 1)).astype(np.float32)
    content = _unit(lsh[:, :DIMENSION] + length * _unit(_spectral(rng, len(lsh))))
    after = copied_words(rng, lsh[:, DIMENSION:]), copied(rng, score[:, DIMENSION:], changed=_FLIPPED)
    copies, their_scores = (np.concatenate([content, each], axis=1) for each in after)
    return copies, their_scores


def _spectral(rng: np.random.Generator, count: int) -> Vector:
    deviations = np.arange(1, DIMENSION + 1, dtype=np.float32) ** np.float32(-SPECTRUM / 2)
    rows: Vector = rng.standard_normal((count, DIMENSION), dtype=np.float32) * deviations
    return rows


def _unit(rows: Vector) -> Vector:
    unit: Vector = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
