"""Corners: where a picture changes in every direction (Shi & Tomasi, 1994). Drawings have few blobs, but corners."""

from typing import Final

import numpy as np

from neardup.points.blur import Floats, blurred

__all__ = ["corners", "vertex"]

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
    most = np.maximum(strength[1:-1], np.maximum(strength[2:], strength[:-2]))
    most = np.maximum(most[:, 1:-1], np.maximum(most[:, 2:], most[:, :-2]))
    centre = strength[1:-1, 1:-1]
    inside = slice(_BORDER - 1, 1 - _BORDER)
    rows, columns = np.nonzero(((centre == most) & (centre > _LEAST))[inside, inside])
    y, x = rows + _BORDER, columns + _BORDER

    def beside(down: int, across: int) -> Floats:
        """How far beside its pixel a corner lies, down or across."""
        before, after = strength[y - down, x - across], strength[y + down, x + across]
        return vertex(after - before, before + after - 2 * strength[y, x])

    moved_x, moved_y = x + beside(0, 1), y + beside(1, 0)
    return moved_x.astype(np.float32), moved_y.astype(np.float32), np.sqrt(strength[y, x])


def vertex(difference: Floats, curvature: Floats) -> Floats:
    """How far beside its middle a parabola through three values has its vertex."""
    safe = np.where(np.abs(curvature) < 1e-6, np.float32(1e-6), curvature)
    shift: Floats = np.clip(-difference / (2 * safe), -0.6, 0.6)
    return shift
