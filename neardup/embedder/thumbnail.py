"""A picture of 32 cells along its long side: what lies where, however light or strong it is.

Two pictures that share a layout, or a part, have points in common (`neardup.points`); whether they show the same is
seen when one is laid on the other. For that the lightness of each cell is told relative to its surroundings and to how
much these vary (local contrast normalisation; Jarrett et al., ICCV 2009), in 12 levels.
"""

from typing import Final

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from neardup.points.packing import BITS
from neardup.types import Vector

__all__ = ["CELLS", "CODES", "LEVELS", "SIDE", "THUMBNAIL", "thumbnail"]

SIDE: Final = 32
CELLS: Final = SIDE * SIDE
_LEVELS: Final = 12
_TOGETHER: Final = 3
"""Cells in a number."""
CODES: Final = _LEVELS**_TOGETHER
"""What such a number may be: below 2048."""
THUMBNAIL: Final = 1 + -(-CELLS // _TOGETHER)
"""Numbers of a thumbnail. The first is its width - 1 and, 32 times, its height - 1; then the cells, row by row of the
square of the long side, of which the picture fills the upper left."""
_SURROUNDINGS: Final = 3.0
_LEAST_CONTRAST: Final = np.float32(3.0)
"""Of 255, that is added to the contrast: noise on plain ground stays small."""
_STRONGEST: Final = 1.75
LEVELS: Final[Vector] = (
    ((np.arange(2**BITS)[:, None] // _LEVELS ** np.arange(_TOGETHER) % _LEVELS) / (_LEVELS - 1) * 2 - 1) * _STRONGEST
).astype(np.float32)
"""Of a number its cells, shape (2048, 3)."""


def thumbnail(image: Image.Image) -> Vector:
    """Of a picture, which should be trimmed: shape (THUMBNAIL,), whole numbers below 2048, float32."""
    scale = SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    filter_ = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    grey = np.asarray(image.convert("L").resize((width, height), filter_), dtype=np.float32)
    cells = np.zeros((SIDE, SIDE), np.float32)
    cells[:height, :width] = np.rint((_normalised(grey) / _STRONGEST + 1) * ((_LEVELS - 1) / 2)).clip(0, _LEVELS - 1)
    whole = np.zeros(_TOGETHER * (THUMBNAIL - 1), np.float32)
    whole[:CELLS] = cells.ravel()
    numbers = whole.reshape(-1, _TOGETHER) @ np.float32(_LEVELS) ** np.arange(_TOGETHER, dtype=np.float32)
    return np.append(np.float32(width - 1 + SIDE * (height - 1)), numbers)


def _normalised(grey: Vector) -> Vector:
    def around(values: Vector) -> Vector:
        blurred: Vector = gaussian_filter(values, _SURROUNDINGS, mode="nearest")
        return blurred

    beside = grey - around(grey)
    contrast: Vector = np.sqrt(around(beside * beside))
    return beside / (contrast + _LEAST_CONTRAST)
