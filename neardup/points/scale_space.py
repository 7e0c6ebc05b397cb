"""Where a picture has points that are found again in a cropped, turned or smaller copy: extrema in scale space (Lowe,
2004), without doubling the picture; and corners (`neardup.points.corners`) where these are few, as in drawings.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.points.blur import Floats, blurred
from neardup.points.corners import corners
from neardup.points.peaks import peaks, vertex

__all__ = ["Points", "find_points"]

_SCALES: Final = 2
"""An octave."""
_SIGMA: Final = 1.6
_CAMERA: Final = 0.5
"""How blurred a picture is taken to be as it comes."""
_LEAST_SIDE: Final = 12
_CONTRAST: Final = 1.0
"""Least difference of two scales, of 255."""
_EDGE: Final = 14.0
"""Largest ratio of the two curvatures, as (r + 1)^2 / r: a point on an edge is no place."""
_STRONGEST: Final = 300
_CLEARLY: Final = 1.1
_BORDER: Final = 3
_APART: Final = 1.5
"""Pixels of its level that a corner is away from any extremum: the same place is not described twice."""

_RATIO: Final = 2 ** (1 / _SCALES)
_FIRST: Final = tuple(float(np.sqrt((_SIGMA * _RATIO**k) ** 2 - _CAMERA**2)) for k in range(_SCALES + 3))
_LATER: Final = tuple(float(np.sqrt((_SIGMA * _RATIO**k) ** 2 - _SIGMA**2)) for k in range(1, _SCALES + 3))


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """`levels`: blurred pictures; and of n points, the one farthest from any clearly stronger one first: `x`, `y` and
    `size` (the sigma) in pixels of its level, `level` its number, `factor` how many pixels of the picture one of them
    is; each of shape (n,)."""

    levels: list[Floats]
    x: Floats
    y: Floats
    size: Floats
    factor: Floats
    level: npt.NDArray[np.intp]


def find_points(grey: npt.NDArray[np.uint8], limit: int) -> Points:
    """At most `limit` points, spread over the picture (adaptive non-maximal suppression; Brown et al., 2005), extrema
    before corners."""
    levels: list[Floats] = []
    found: list[Floats] = []
    factor = 1.0
    stack = blurred(grey.astype(np.float32), _FIRST)
    while True:
        found.append(_extrema(stack, first_level=len(levels), factor=factor))
        levels += list(stack[1 : _SCALES + 1])
        half = np.ascontiguousarray(stack[_SCALES, ::2, ::2])
        if min(half.shape) < _LEAST_SIDE:
            break
        stack = np.concatenate([half[None], blurred(half, _LATER)])
        factor *= 2
    points = _best(np.concatenate(found))[:limit]
    if len(points) < limit:
        more = _corners(levels)
        more = _best(more[_beside(points, more)])
        points = np.concatenate([points, more[: limit - len(points)]])
    x, y, size, level, factors, _ = points.T
    return Points(levels, x, y, size, factors, level.astype(np.intp))


def _extrema(stack: Floats, *, first_level: int, factor: float) -> Floats:
    """Columns x, y, size, level, factor, strength."""
    differences = np.diff(stack, axis=0)
    s, y, x = peaks(np.abs(differences), least=_CONTRAST, border=_BORDER)

    def at(ds: int, dy: int, dx: int) -> Floats:
        value: Floats = differences[s + ds, y + dy, x + dx]
        return value

    centre = at(0, 0, 0)
    across, down = at(0, 0, 1) + at(0, 0, -1) - 2 * centre, at(0, 1, 0) + at(0, -1, 0) - 2 * centre
    mixed = (at(0, 1, 1) - at(0, 1, -1) - at(0, -1, 1) + at(0, -1, -1)) / 4
    determinant = across * down - mixed * mixed
    good = (determinant > 0) & ((across + down) ** 2 < _EDGE * determinant)
    deep = at(1, 0, 0) + at(-1, 0, 0) - 2 * centre
    shift_x = vertex(at(0, 0, 1) - at(0, 0, -1), across)
    shift_y = vertex(at(0, 1, 0) - at(0, -1, 0), down)
    size = _SIGMA * 2 ** ((s + vertex(at(1, 0, 0) - at(-1, 0, 0), deep)) / _SCALES)
    columns = (x + shift_x, y + shift_y, size, first_level + s - 1, np.full(len(s), factor), np.abs(centre))
    table: Floats = np.stack(columns, axis=1)[good].astype(np.float32)
    return table


def _corners(levels: list[Floats]) -> Floats:
    """Columns as of `_extrema`."""
    size = _SIGMA * _RATIO
    found = []
    for number in range(0, len(levels), _SCALES):
        x, y, strength = corners(levels[number], size)
        every = np.ones_like(x)
        columns = (x, y, size * every, number * every, 2 ** (number // _SCALES) * every, strength)
        found.append(np.stack(columns, axis=1))
    return np.concatenate(found)


def _beside(points: Floats, more: Floats) -> npt.NDArray[np.bool_]:
    """Which of `more` are none of the points."""
    (x, y), (their_x, their_y) = (table[:, :2].T * table[:, 4] for table in (more, points))
    apart = np.hypot(x[:, None] - their_x, y[:, None] - their_y).min(axis=1, initial=np.inf)
    beside: npt.NDArray[np.bool_] = apart > _APART * more[:, 4]
    return beside


def _best(points: Floats) -> Floats:
    """The strongest, ordered by distance to the next clearly stronger one."""
    points = points[np.argsort(-points[:, 5], kind="stable")[:_STRONGEST]]
    place, strength = points[:, :2] * points[:, 4:5], points[:, 5]
    apart = ((place[:, None] - place[None]) ** 2).sum(axis=2)
    apart = np.where(strength[None, :] > _CLEARLY * strength[:, None], apart, np.inf)
    return points[np.lexsort((-strength, -apart.min(axis=1, initial=np.inf)))]
