"""Corners: where a picture changes in every direction (Shi & Tomasi, 1994). Drawings have few blobs, but corners."""

from typing import Final

import numpy as np

from neardup.points.blur import Floats, blurred
from neardup.points.peaks import peaks, vertex

__all__ = ["corners"]

_AROUND: Final = 0.66
"""Over how many sizes of a corner the gradients are looked at together."""
_LEAST: Final = 4.0
"""Of the smaller eigenvalue of the products of differences over two pixels, levels of 255 squared."""
_BORDER: Final = 4


def corners(level: Floats, size: float) -> tuple[Floats, Floats, Floats]:
    """Of a picture blurred with a sigma of `size` pixels: x, y and strength, each (n,)."""
    across, down = np.zeros_like(level), np.zeros_like(level)
    across[:, 1:-1] = level[:, 2:] - level[:, :-2]
    down[1:-1] = level[2:] - level[:-2]
    xx, yy, xy = (blurred(each, (_AROUND * size,))[0] for each in (across * across, down * down, across * down))
    half = (xx - yy) / 2
    strength: Floats = (xx + yy) / 2 - np.sqrt(half * half + xy * xy)
    y, x = peaks(strength, least=_LEAST, border=_BORDER)

    def beside(down: int, across: int) -> Floats:
        """How far beside its pixel a corner lies, down or across."""
        before, after = strength[y - down, x - across], strength[y + down, x + across]
        return vertex(after - before, before + after - 2 * strength[y, x])

    moved_x, moved_y = x + beside(0, 1), y + beside(1, 0)
    return moved_x.astype(np.float32), moved_y.astype(np.float32), np.sqrt(strength[y, x])
