"""What trimming and straightening look at: a small copy of the picture, and where it shows one colour."""

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["Bools", "Pixels", "alike", "small_copy"]

Bools = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.int16]


def small_copy(image: Image.Image, side: int) -> Pixels:
    """Shape (height, width, 3), at most `side` pixels long; a smaller picture as it is."""
    scale = min(1.0, side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX), dtype=np.int16)


def alike(pixels: Pixels, colour: Pixels, tolerance: int) -> Bools:
    """Whether no channel of pixels, (…, 3), differs by more, shape (…)."""
    red, green, blue = np.moveaxis(np.abs(pixels - colour), -1, 0)
    same: Bools = np.maximum(np.maximum(red, green), blue) <= tolerance
    return same
