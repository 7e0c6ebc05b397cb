"""Directions learned from the histograms of many points: on which side of each a histogram lies is all that is kept."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from neardup.points.blur import Floats
from neardup.points.describe import COUNT, MIRRORED, unfolded
from neardup.points.packing import EVEN, POINTS, SIGN_NUMBERS, SIGNS, pack
from neardup.projection import Half
from neardup.words import NO_WORD, WORD, each_word, words_of

__all__ = ["WORD_BITS", "Axes"]

WORD_BITS: Final = 22
_COMMON: Final = 0.003
"""A word that so many of the pictures have is a stop word: it says little about any of them, and brings up the rest."""
_SAMPLE: Final = 60_000
_TINY: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """`even_mean` (128,) of the even halves of histograms, and axes `even` (128, EVEN) and `odd` (128, SIGNS - EVEN) of
    both halves; `word_mean` (256,) and axes `word` (256, 22) of what a mirror image leaves as it is; `stopped`, the
    words that are left out, ascending."""

    even_mean: Half
    even: Half
    odd: Half
    word_mean: Half
    word: Half
    stopped: npt.NDArray[np.uint32]

    @classmethod
    def learn(cls, described: Floats) -> Self:
        """From the points of different pictures, (n, DESCRIBED)."""
        _, histograms = unfolded(described)
        even, odd = _halves(histograms[histograms.any(axis=2)])
        left = _left_by_mirrors(even, odd)
        even_mean, word_mean = even.mean(axis=0), left.mean(axis=0)
        axes = cls(
            even_mean=even_mean.astype(np.float16),
            even=_rotated_axes(even - even_mean, EVEN),
            odd=_rotated_axes(odd, SIGNS - EVEN),
            word_mean=word_mean.astype(np.float16),
            word=_rotated_axes(left - word_mean, WORD_BITS),
            stopped=np.empty(0, np.uint32),
        )
        return replace(axes, stopped=_common(axes.words(described)))

    def points(self, described: Floats) -> Floats:
        """Of n pictures the points (n, DESCRIBED) -> packed, (n, POINTS), float32."""
        places, histograms = unfolded(described)
        even, odd = _halves(histograms)
        even_mean, even_axes, odd_axes = (each.astype(np.float32) for each in (self.even_mean, self.even, self.odd))
        signs = np.concatenate([(even - even_mean) @ even_axes, odd @ odd_axes], axis=2) > 0
        packed = np.concatenate([places, pack(signs.reshape(-1, SIGNS)).reshape(-1, COUNT, SIGN_NUMBERS)], axis=2)
        return np.where(_there(places)[..., None], packed, np.float32(0)).reshape(-1, POINTS)

    def words(self, described: Floats) -> Floats:
        """Of n pictures the points (n, DESCRIBED) -> the words that search knows them by (`neardup.words`), stop words
        left out, COUNT pairs of numbers a picture: (n, 2 * COUNT), float32."""
        places, histograms = unfolded(described)
        left = _left_by_mirrors(*_halves(histograms)) - self.word_mean.astype(np.float32)
        numbers = pack((left @ self.word.astype(np.float32)).reshape(-1, WORD_BITS) > 0).reshape(-1, 2 * COUNT) + 1
        kept = _there(places) & ~np.isin(each_word(numbers) - np.uint32(WORD), self.stopped)
        return np.where(np.repeat(kept, 2, axis=1), numbers, np.float32(0))


def _there(places: Floats) -> npt.NDArray[np.bool_]:
    there: npt.NDArray[np.bool_] = places[..., 2] > 0
    return there


def _common(pairs: Floats) -> npt.NDArray[np.uint32]:
    """Of the words of n pictures, (n, 2 * COUNT), those that too many have, ascending."""
    words, pictures = np.unique(words_of(pairs), return_counts=True)
    often = (pictures >= max(2, _COMMON * len(pairs))) & (words != NO_WORD)
    common: npt.NDArray[np.uint32] = words[often] - np.uint32(WORD)
    return common


def _halves(histograms: Floats) -> tuple[Floats, Floats]:
    """What a mirror image leaves, and what it negates."""
    mirrored: Floats = histograms[..., MIRRORED]
    half = np.float32(0.5)
    return half * (histograms + mirrored), half * (histograms - mirrored)


def _left_by_mirrors(even: Floats, odd: Floats) -> Floats:
    """Shape (…, 256): what a mirror image leaves, and the size of what it negates."""
    return np.concatenate([even, np.abs(odd)], axis=-1)


def _rotated_axes(values: Floats, count: int) -> Half:
    """Principal axes of rows around zero, (width, count), rotated at random: each direction tells equally much."""
    chosen = np.random.default_rng(0).choice(len(values), min(_SAMPLE, len(values)), replace=False)
    sample = values[chosen].astype(np.float64)
    variances, axes = np.linalg.eigh(sample.T @ sample / max(1, len(sample)))
    top = axes[:, ::-1][:, : min(count, int((variances > _TINY).sum()))]
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(count, count)))
    directions: Half = (top @ rotation[: top.shape[1]]).astype(np.float16)
    return directions
