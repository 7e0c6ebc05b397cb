"""Yes-or-no answers, and points of a picture, as numbers of an embedding.

Numbers are whole and below 2048, which float16 holds exactly: 11 bits each. A point is `POINT` of them: its place
(three, see `neardup.points.describe`) and the signs of its projected histogram. A point that is not there is all zeros.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.points.blur import Floats
from neardup.points.describe import COUNT

__all__ = ["BITS", "EVEN", "POINT", "POINTS", "SIGNS", "SIGN_NUMBERS", "UNPACKED", "numbers_for", "pack"]

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

_VALUES: Final = np.arange(2**BITS)[:, None]
UNPACKED: Final[Floats] = np.concatenate(
    [(_VALUES >> np.arange(BITS) & 1) * 2 - 1, np.zeros((2**BITS, BITS), np.int64)]
).astype(np.float32)
"""Of a number its bits, the lowest first, 1 for a set one and -1 for the others: shape (2 * 2048, BITS). Behind them
zeros, for numbers that stand for nothing once 2048 is added to them."""


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
