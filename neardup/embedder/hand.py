"""Features made by hand from a small picture: they see layout, edges and colour where the network sees content.

All but the signs are the same for a picture and its mirror image. Sources: DCT as in pHash (Zauner, 2010), histograms
of oriented gradients (Dalal & Triggs, 2005), colour layout (MPEG-7).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from neardup.embedder.signs import low_frequencies, signs
from neardup.types import Vector

__all__ = ["HAND_WIDTHS", "hand_features"]

_CELLS: Final = 8
_ORIENTATIONS: Final = 6
_COLOURS: Final = 6

HAND_WIDTHS: Final = (16 * 16 - 1, _CELLS * _CELLS * _ORIENTATIONS, _COLOURS * _COLOURS * 3)
"""Widths of the three mirror-proof blocks: DCT, oriented gradients, colour layout."""

Grey = npt.NDArray[np.float64]


def hand_features(image: Image.Image) -> tuple[list[Vector], Vector]:
    """The three blocks, float32, not yet normalised; and the signs, packed, shape (SIGN_NUMBERS,)."""
    small = image.resize((64, 64), Image.Resampling.BOX, reducing_gap=2.0)
    ycbcr = np.asarray(small.convert("YCbCr"), dtype=np.float64) / 255.0
    low = low_frequencies(ycbcr[..., 0])
    blocks = (_frequencies(low), _hog(ycbcr[..., 0]), _layout(ycbcr))
    return [block.astype(np.float32) for block in blocks], signs(low)


def _frequencies(low: Grey) -> Grey:
    """A mirror image negates the odd columns, so only their size counts."""
    proof = low.copy()
    proof[:, 1::2] = np.abs(proof[:, 1::2])
    return np.sign(proof.ravel()[1:]) * np.sqrt(np.abs(proof.ravel()[1:]))


def _hog(grey: Grey) -> Grey:
    down, right = np.gradient(grey)
    size = np.hypot(down, right)
    angle = np.arctan2(down, right) % np.pi
    place = angle * (_ORIENTATIONS / np.pi) - 0.5
    lower = np.floor(place).astype(int)
    share = place - lower
    cells = np.zeros((_CELLS, _CELLS, _ORIENTATIONS))
    side = grey.shape[0] // _CELLS
    for bins, weight in ((lower, 1 - share), (lower + 1, share)):
        for orientation in range(_ORIENTATIONS):
            chosen = np.where(bins % _ORIENTATIONS == orientation, size * weight, 0.0)
            cells[..., orientation] += chosen.reshape(_CELLS, side, _CELLS, side).sum(axis=(1, 3))
    cells /= np.linalg.norm(cells, axis=2, keepdims=True) + 0.5
    # Mirrored: the columns of cells and the order of orientations turn round.
    mirrored: Grey = np.sqrt((cells + cells[:, ::-1, ::-1]) / 2).ravel()
    return mirrored


def _layout(ycbcr: npt.NDArray[np.float64]) -> Grey:
    edges = np.linspace(0, ycbcr.shape[0], _COLOURS + 1).round().astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(ycbcr, edges, axis=0), edges, axis=1)
    areas = np.diff(np.append(edges, ycbcr.shape[0]))
    means = sums / (areas[:, None, None] * areas[None, :, None])
    layout: Grey = ((means + means[:, ::-1]) / 2 - 0.5).ravel()
    return layout
