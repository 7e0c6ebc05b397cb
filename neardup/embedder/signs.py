"""Signs of a picture's low frequencies: where it is lighter than elsewhere, in 255 yes or no answers.

The idea of pHash (Zauner, 2010) and PDQ (Facebook, 2019), with one difference: a mirror image negates every odd column
of the transform and leaves the others, so two pictures can be compared straight and mirrored at once. What agrees in
the even columns agrees both ways; what agrees, or disagrees, in all of the odd ones says which way round.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

from neardup.points.packing import numbers_for, pack
from neardup.types import Vector

__all__ = ["MIRRORED", "SIGNS", "SIGN_NUMBERS", "low_frequencies", "signs"]

_SIDE: Final = 16
SIGNS: Final = _SIDE * _SIDE - 1
SIGN_NUMBERS: Final = numbers_for(SIGNS)
"""Numbers that hold them (`neardup.points.packing`)."""
MIRRORED: Final[npt.NDArray[np.bool_]] = np.tile(np.arange(_SIDE) % 2 == 1, _SIDE)[1:]
"""Which of them a mirror image negates, shape (SIGNS,)."""

Grey = npt.NDArray[np.float64]


def low_frequencies(grey: Grey) -> Grey:
    """Shape (height, width), both at least 16 -> (16, 16): of the cosine transform, rows by vertical frequency."""
    low: Grey = dctn(grey, norm="ortho")[:_SIDE, :_SIDE]
    return low


def signs(low: Grey) -> Vector:
    """Shape (SIGN_NUMBERS,), float32: of all but the mean whether it is positive, packed."""
    return pack(low.ravel()[None, 1:] > 0).ravel()
