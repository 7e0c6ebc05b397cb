"""Yes-or-no answers, and points of a picture, as numbers of an embedding.

Numbers are whole and below 2048, which float16 holds exactly: 11 bits each. A point is `POINT` of them: its place
(three, see `neardup.points.describe`) and the signs of its projected histogram. A point that is not there is all zeros.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.points.describe import COUNT
from neardup.points.scale_space import Floats

__all__ = ["BITS", "EVEN", "POINT", "POINTS", "SIGNS", "SIGN_NUMBERS", "numbers_for", "pack", "unpacking"]

BITS: Final = 11
"""Of a number."""
SIGN_NUMBERS: Final = 6
SIGNS: Final = BITS * SIGN_NUMBERS
"""Of a point."""
EVEN: Final = SIGNS // 2
"""A mirror image leaves the first so many signs and negates the others, so straight and mirrored are compared at
once."""
POINT: Final = 3 + SIGN_NUMBERS
POINTS: Final = COUNT * POINT
"""Numbers of all points of a picture."""


def numbers_for(bits: int) -> int:
    """How many numbers hold so many bits."""
    return -(-bits // BITS)


def pack(bits: npt.NDArray[np.bool_]) -> Floats:
    """Shape (n, bits) -> (n, numbers_for(bits)), float32."""
    count, width = bits.shape
    whole = np.zeros((count, numbers_for(width) * BITS), np.bool_)
    whole[:, :width] = bits
    numbers: Floats = (whole.reshape(count, -1, BITS) @ (2.0 ** np.arange(BITS))).astype(np.float32)
    return numbers


def unpacking(bits: int) -> Floats:
    """Shape (numbers_for(bits), bits), U: the bits of a row of numbers are floor(row @ U) - 2 * floor(row @ U / 2),
    each number shifted so far that the bit is its last, less twice what is above it."""
    shifts = np.tile(2.0 ** -np.arange(BITS), numbers_for(bits))
    matrix: Floats = (np.repeat(np.eye(numbers_for(bits)), BITS, axis=1) * shifts)[:, :bits].astype(np.float32)
    return matrix
