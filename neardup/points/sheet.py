"""The sheet that a tilted picture lies on: a quadrilateral in the middle of a plain ground.

Its corners and the steps of its sides look the same whatever is on it, and they lie in the same arrangement in every
picture that was tilted like it. So they say nothing about what two pictures show.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from neardup.types import Vector

__all__ = ["Sheet"]

_TOLERANCE: Final = 6.0
"""Grey levels. The ground has one colour but for what is left of the noise of compression in a blurred picture; a frame
of light grey around white has another."""
_LEAST_INSIDE: Final = 0.2
_LEAST_OUTSIDE: Final = 0.005
_POINTED: Final = 0.6
"""Cosine. A sheet seen from the side, or sheared, has no sharper corners; a thing on plain ground may have."""
_WIDER: Final = (-1.0, 3.0)
"""How far beyond the sides the picture may seem to reach, on the average; it is blurred."""
_BESIDE: Final = 2.0
_OTHERWISE: Final = 0.15
"""Pixels that lie that far on the wrong side, as a share of the ground: 0.1 at most with tilted photos, 0.14 and more
with what is no quadrilateral."""
_LEAST_OF_BORDER: Final = 0.2
"""What part of the picture's border shows the ground."""
_STEP: Final = 2

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """`start` and `along`, (n, 2) each: where a side begins and a step of length 1 along it, x and y in pixels,
    clockwise. Sides along the picture's own border are not among them: there is no edge to be seen."""

    start: Vector
    along: Vector

    @classmethod
    def find(cls, picture: Vector) -> Self | None:
        """Of a blurred picture, (height, width), levels of 255; None: it does not lie on a sheet."""
        small = np.ascontiguousarray(picture[::_STEP, ::_STEP])
        for ground in _grounds(small):
            outside = _seen_from_border(np.abs(small - ground) <= _TOLERANCE)
            share = np.count_nonzero(outside) / outside.size
            if _LEAST_OUTSIDE <= share <= 1 - _LEAST_INSIDE:
                corners = _corners(~outside)
                if _is_filled(corners, outside):
                    return cls._of(corners, small.shape)
        return None

    def depth(self, x: Vector, y: Vector) -> Vector:
        """How many pixels from the nearest side points lie, (n,); negative beyond it."""
        least: Vector = _depths(self.start, self.along, x, y).min(axis=0)
        return least

    @classmethod
    def _of(cls, corners: Vector, shape: tuple[int, ...]) -> Self | None:
        along, length = _sides(corners)
        ends = np.stack([corners, np.roll(corners, -1, axis=0)])
        last = np.array(shape[::-1], np.float32) - 1
        at_border: Bools = np.any((ends <= 1).all(axis=0) | (ends >= last - 1).all(axis=0), axis=1)
        seen = ~at_border & (length > 0)
        return cls(corners[seen] * _STEP, along[seen]) if seen.any() else None


def _grounds(picture: Vector) -> list[np.float32]:
    """Colours of the corners of the picture that a good part of its border has, each once."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    grounds: list[np.float32] = []
    for colour in picture[[0, 0, -1, -1], [0, -1, 0, -1]]:
        if all(abs(colour - other) > _TOLERANCE for other in grounds):
            share = np.count_nonzero(np.abs(border - colour) <= _TOLERANCE) / len(border)
            grounds += [colour] if share >= _LEAST_OF_BORDER else []
    return grounds


def _seen_from_border(plain: Bools) -> Bools:
    """What can be reached from the border straight along a row or a column, through plain pixels."""
    clear = np.logical_and.accumulate
    across = clear(plain, axis=1) | clear(plain[:, ::-1], axis=1)[:, ::-1]
    down = clear(plain, axis=0) | clear(plain[::-1], axis=0)[::-1]
    seen: Bools = across | down
    return seen


def _corners(inside: Bools) -> Vector:
    """The pixels that lie farthest to the upper left, upper right, lower right and lower left, (4, 2), as x and y."""
    rows = np.flatnonzero(inside.any(axis=1))
    first = inside[rows].argmax(axis=1)
    last = inside.shape[1] - 1 - inside[rows, ::-1].argmax(axis=1)
    upper_left, lower_left = (first + rows).argmin(), (first - rows).argmin()
    upper_right, lower_right = (last - rows).argmax(), (last + rows).argmax()
    chosen = [upper_left, upper_right, lower_right, lower_left]
    x = [first[upper_left], last[upper_right], last[lower_right], first[lower_left]]
    return np.stack([x, rows[chosen]], axis=1).astype(np.float32)


def _is_filled(corners: Vector, outside: Bools) -> bool:
    """Whether what is inside is the quadrilateral between the corners, and nothing else."""
    following = np.roll(corners, -1, axis=0)
    area = float((corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]).sum()) / 2
    along, length = _sides(corners)
    if np.abs((along * np.roll(along, 1, axis=0)).sum(axis=1)).max() > _POINTED:
        return False
    wider = (outside.size - np.count_nonzero(outside) - area) / float(length.sum() + 1)
    if not _WIDER[0] < wider < _WIDER[1]:
        return False
    # Every other pixel of every other row will do.
    outside = outside[::2, ::2]
    y, x = (np.arange(0, 2 * length, 2, dtype=np.float32) for length in outside.shape)
    depth = _depths(corners, along, x[None], y[:, None]).min(axis=0)
    otherwise = np.count_nonzero(np.where(outside, depth > _BESIDE, depth < -_BESIDE))
    return bool(otherwise <= _OTHERWISE * np.count_nonzero(outside))


def _sides(corners: Vector) -> tuple[Vector, Vector]:
    """Steps of length 1 along the sides, (n, 2), and how long the sides are, (n,)."""
    sides = np.roll(corners, -1, axis=0) - corners
    length: Vector = np.hypot(sides[:, 0], sides[:, 1])
    along: Vector = (sides / np.maximum(length, 1)[:, None]).astype(np.float32)
    return along, length


def _depths(start: Vector, along: Vector, x: Vector, y: Vector) -> Vector:
    """From every side, shape (n, ...)."""
    sides = zip(start, along, strict=True)
    depths: Vector = np.stack([step[0] * (y - at[1]) - step[1] * (x - at[0]) for at, step in sides])
    return depths
