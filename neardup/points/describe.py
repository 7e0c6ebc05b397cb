"""What a picture looks like at each of its points: a histogram of gradients, along the point's own direction."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from neardup.points.blur import Floats
from neardup.points.scale_space import Points, find_points

__all__ = ["COUNT", "DESCRIBED", "MIRRORED", "describe", "unfolded"]

COUNT: Final = 48
"""Points of a picture, at most."""
_PLACE: Final = 3
_HISTOGRAM: Final = 128
DESCRIBED: Final = COUNT * (_PLACE + _HISTOGRAM)
"""Numbers of all points of a picture."""
_LONG_SIDE: Final = 256
_LEAST_SIDE: Final = 16
_TURN: Final = 64
_SIZES: Final = 31
_AROUND: Final = (0.6 * (np.mgrid[0:15, 0:15] - 7.0)).astype(np.float32)
_NEAR: Final = np.exp(-(_AROUND**2).sum(axis=0)[1:-1, 1:-1] / 4.5).ravel().astype(np.float32)
_PATCH: Final = (0.75 * (np.mgrid[0:18, 0:18] - 8.5)).astype(np.float32)
_CELLS: Final = np.maximum(0, 1 - np.abs(np.arange(16)[:, None] / 4 - 0.375 - np.arange(4)[None]))
_MIDDLE: Final = np.exp(-((np.arange(16) - 7.5) ** 2) / 128)
_POOL: Final = np.einsum("y,x,ya,xb->yxab", _MIDDLE, _MIDDLE, _CELLS, _CELLS).reshape(256, 16).astype(np.float32)
MIRRORED: Final = np.arange(_HISTOGRAM).reshape(4, 4, 8)[::-1][:, :, np.arange(0, -8, -1)].ravel()
"""Which number of a histogram is which of the mirror image's."""


def describe(image: Image.Image) -> Floats:
    """The points of a picture, which should be trimmed: shape (DESCRIBED,), see `unfolded`."""
    table = np.zeros((COUNT, _PLACE + _HISTOGRAM), np.float32)
    found = find_points(_grey(image), COUNT)
    count = len(found.x)
    if count:
        turns = _directions(found)
        direction = np.rint(turns * _TURN) % _TURN
        octaves = np.clip(np.rint(4 * np.log2(2 * found.size * found.factor)), 1, _SIZES)
        places = (np.rint(found.x * found.factor), np.rint(found.y * found.factor), _TURN * octaves + direction)
        table[:count, :_PLACE] = np.stack(places, axis=1)
        table[:count, _PLACE:] = _histograms(found, turns)
    return table.ravel()


def unfolded(described: Floats) -> tuple[Floats, Floats]:
    """Of n pictures, (n, DESCRIBED), the places (n, COUNT, 3), whole numbers: x and y (of 255 along the long side), and
    64 * size (quarter octaves, from 1) + direction (64ths of a turn); and the histograms (n, COUNT, 128), of length 1.
    A point that is not there is all zeros."""
    table = described.reshape(-1, COUNT, _PLACE + _HISTOGRAM)
    return table[..., :_PLACE], table[..., _PLACE:]


def _grey(image: Image.Image) -> npt.NDArray[np.uint8]:
    scale = _LONG_SIDE / max(image.size)
    width, height = (max(_LEAST_SIDE, round(side * scale)) for side in image.size)
    filter_ = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(image.convert("L").resize((width, height), filter_))


def _histograms(found: Points, turns: Floats) -> Floats:
    """Of n points the roots of the histogram of gradients along their direction, (n, 128): 4 x 4 cells of 8 directions
    (Lowe, 2004; Arandjelović & Zisserman, 2012)."""
    cosine, sine = (wave(2 * np.pi * turns)[:, None, None].astype(np.float32) for wave in (np.cos, np.sin))
    down, across = _PATCH
    size = found.size[:, None, None]
    right, below = _gradients(found, size * (cosine * across - sine * down), size * (sine * across + cosine * down))
    place = (np.arctan2(below, right) * np.float32(4 / np.pi))[:, None] - np.arange(8, dtype=np.float32)[:, None]
    for _ in range(2):
        # From above -12 to 0..8, as % does, which takes five times as long.
        place += np.float32(8) * (place < 0)
    share = np.maximum(0, 1 - np.minimum(place, 8 - place)) * np.hypot(right, below)[:, None]
    histogram = (share.reshape(-1, 256) @ _POOL).reshape(-1, 8, 16).transpose(0, 2, 1).reshape(-1, 128)
    histogram = np.minimum(histogram, 0.2 * np.linalg.norm(histogram, axis=1, keepdims=True))
    roots: Floats = np.sqrt(histogram / (histogram.sum(axis=1, keepdims=True) + np.float32(1e-6)))
    return roots


def _directions(found: Points) -> Floats:
    """Where most of the gradient points, by a histogram of 36 directions."""
    down, across = _AROUND[:, None] * found.size[:, None, None]
    right, below = _gradients(found, across, down)
    count = len(right)
    bins = ((np.arctan2(below, right) * (36 / (2 * np.pi))) % 36).astype(np.intp) % 36
    weight = np.hypot(right, below) * _NEAR
    flat = np.bincount((36 * np.arange(count)[:, None] + bins).ravel(), weights=weight.ravel(), minlength=36 * count)
    height: npt.NDArray[np.float64] = flat.reshape(count, 36).astype(np.float64)
    for _ in range(3):
        height = (np.roll(height, 1, axis=1) + height + np.roll(height, -1, axis=1)) / 3
    top = height.argmax(axis=1)
    before, peak, after = (height[np.arange(count), (top + step) % 36] for step in (-1, 0, 1))
    bend = before + after - 2 * peak
    shift = np.where(bend < 0, (before - after) / (2 * np.where(bend < 0, bend, -1)), 0)
    turns: Floats = ((top + 0.5 + shift) / 36).astype(np.float32)
    return turns


def _gradients(found: Points, across: Floats, down: Floats) -> tuple[Floats, Floats]:
    """Of patches, so many pixels beside the points, (n, side, side): differences inside, (n, (side - 2)^2) twice."""
    x, y = found.x[:, None, None] + across, found.y[:, None, None] + down
    patch = np.empty(x.shape, np.float32)
    for number, level in enumerate(found.levels):
        chosen = np.flatnonzero(found.level == number)
        if len(chosen):
            patch[chosen] = _between(level, x[chosen], y[chosen])
    right = patch[:, 1:-1, 2:] - patch[:, 1:-1, :-2]
    below = patch[:, 2:, 1:-1] - patch[:, :-2, 1:-1]
    return right.reshape(len(patch), -1), below.reshape(len(patch), -1)


def _between(level: Floats, x: Floats, y: Floats) -> Floats:
    """Values between pixels, bilinear; beyond the border that of the border."""
    height, width = level.shape
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    column, row = x.astype(np.int32), y.astype(np.int32)
    right, below = x - column, y - row
    flat, place = np.ascontiguousarray(level).ravel(), row * width + column
    above = flat[place] + right * (flat[place + 1] - flat[place])
    under = flat[place + width] + right * (flat[place + width + 1] - flat[place + width])
    values: Floats = (above + below * (under - above)).astype(np.float32)
    return values
