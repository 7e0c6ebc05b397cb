"""Setting a tilted picture upright: one that was turned, sheared or photographed from the side lies as a quadrilateral,
the sheet, on a plain ground. It is cut out and made a rectangle again, so that it looks like its original.

The sheet is what cannot be reached from the border straight through the ground; its sides are fitted to its outline.
A thing that merely lies on a plain ground has no four straight sides, and stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from neardup.embedder.small import Bools, Pixels, alike, small_copy
from neardup.homography import homography

__all__ = ["straighten"]

_WORKING_SIDE: Final = 128
_LEAST_SIDE: Final = 24
"""Of a side of the sheet, in working pixels; the other limits of lengths are in them too."""
_TOLERANCES: Final = (30, 10)
"""In any channel. The ground has one colour but for the noise of compression, which is strong beside a sharp edge. If
there is no sheet, one of a colour much like the ground is looked for."""
_LEAST_OF_BORDER: Final = 0.2
"""What part of the picture's border shows the ground."""
_LEAST_OUTSIDE: Final = 0.03
_LEAST_INSIDE: Final = 0.2
_POINTED: Final = 0.75
"""Cosine. A sheet seen from the side, or sheared, has no sharper corners; a thing on plain ground may have."""
_TILTED: Final = 0.026
"""Tangent: 1.5 degrees. What is less tilted is left to the trimming."""
_NEAR: Final = (2.5, 1.2, 0.8)
"""How far from its side the outline is looked at, the first time, the second and the last."""
_ENDS: Final = 0.06
"""What part of a side, at both ends, is not looked at: corners are blunt."""
_ON_SIDE: Final = 0.8
"""How much of the outline lies on its side, at least; where the picture has the colour of the ground it does not."""
_BEYOND: Final = 0.1
"""How much of the outline may lie outside: nothing of a sheet does, but noise."""
_CUT: Final = 0.5
"""Along the sides the picture is blurred into the ground."""

Floats = npt.NDArray[np.float64]


def straighten(image: Image.Image) -> Image.Image:
    """The picture on its sheet, upright; the picture itself when it lies on none."""
    small = small_copy(image, _WORKING_SIDE)
    corners = _sheet(small)
    if corners is None:
        return image
    height, width = small.shape[:2]
    to_image = np.array([image.width / width, image.height / height])
    sides = np.hypot(*((np.roll(corners, -1, axis=0) - corners) * to_image).T)
    across, down = (sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2
    cut_x, cut_y = _CUT * to_image
    rectangle = [(-cut_x, -cut_y), (across + cut_x, -cut_y), (across + cut_x, down + cut_y), (-cut_x, down + cut_y)]
    return image.transform(
        (round(across), round(down)),
        Image.Transform.PERSPECTIVE,
        homography(rectangle, corners * to_image),
        Image.Resampling.BICUBIC,
    )


def _sheet(picture: Pixels) -> Floats | None:
    """Its corners, (4, 2), x and y in pixels of the picture, (height, width, 3), clockwise from the upper left; None:
    there is no sheet, or it is upright."""
    for plain in (each for tolerance in _TOLERANCES for each in _plain(picture, tolerance)):
        inside = ~_seen_from_border(plain)
        if _LEAST_INSIDE <= np.count_nonzero(inside) / inside.size <= 1 - _LEAST_OUTSIDE:
            corners = _fitted(_Outline.of(inside))
            if corners is not None:
                return corners
    return None


def _plain(picture: Pixels, tolerance: int) -> Iterator[Bools]:
    """For every colour of a corner of the picture, each once, that a good part of its border has: what has it."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
    for number, ground in enumerate(corners):
        new = not alike(corners[:number], ground, tolerance).any()
        if new and alike(border, ground, tolerance).mean() >= _LEAST_OF_BORDER:
            yield alike(picture, ground, tolerance)


def _seen_from_border(plain: Bools) -> Bools:
    """What can be reached from the border straight along a row or a column, through plain pixels."""
    clear = np.logical_and.accumulate
    across = clear(plain, axis=1) | clear(plain[:, ::-1], axis=1)[:, ::-1]
    down = clear(plain, axis=0) | clear(plain[::-1], axis=0)[::-1]
    seen: Bools = across | down
    return seen


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """Where each row and column of what is inside begins and ends: places, (n, 2) each, on the edges of pixels."""

    top: Floats
    right: Floats
    bottom: Floats
    left: Floats
    shape: tuple[int, ...]

    @classmethod
    def of(cls, inside: Bools) -> Self:
        height, width = inside.shape
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        return cls(
            top=np.stack([columns + 0.5, inside[:, columns].argmax(axis=0)], axis=1),
            right=np.stack([width - inside[rows, ::-1].argmax(axis=1), rows + 0.5], axis=1),
            bottom=np.stack([columns + 0.5, height - inside[::-1, columns].argmax(axis=0)], axis=1),
            left=np.stack([inside[rows].argmax(axis=1), rows + 0.5], axis=1),
            shape=inside.shape,
        )

    def corners(self) -> Floats:
        """The middles of the pixels that lie farthest to the upper left, upper right, lower right and lower left."""
        (left_x, left_y), (right_x, right_y), half = self.left.T, self.right.T, np.array([0.5, 0])
        return np.stack(
            [
                self.left[(left_x + left_y).argmin()] + half,
                self.right[(right_x - right_y).argmax()] - half,
                self.right[(right_x + right_y).argmax()] - half,
                self.left[(left_x - left_y).argmin()] + half,
            ]
        )

    def along(self, step: Floats) -> Floats:
        """The part that a side in the direction of a step, (2,), belongs to."""
        x, y = step
        if abs(x) >= abs(y):
            return self.top if x > 0 else self.bottom
        return self.right if y > 0 else self.left

    def at_border(self, start: Floats, end: Floats) -> bool:
        """Whether both places are pixels at one side of the picture."""
        height, width = self.shape
        near, far = np.minimum(start, end), np.maximum(start, end)
        return bool((far <= 1.5).any() or near[0] >= width - 1.5 or near[1] >= height - 1.5)


def _fitted(outline: _Outline) -> Floats | None:
    """The corners where the sides meet that fit the outline; None: it is no tilted quadrilateral."""
    corners = outline.corners()
    ends = np.roll(corners, -1, axis=0)
    length = np.hypot(*(ends - corners).T)
    if length.min() < _LEAST_SIDE:
        return None
    along = (ends - corners) / length[:, None]
    if np.abs((along * np.roll(along, 1, axis=0)).sum(axis=1)).max() > _POINTED:
        return None
    sides: list[_Side] = []
    for start, end in zip(corners, ends, strict=True):
        side = _side(start, end, outline)
        if side is None:
            return None
        sides.append(side)
    fitted = np.stack([_meeting(sides[number - 1], side) for number, side in enumerate(sides)])
    steps = np.abs(np.roll(fitted, -1, axis=0) - fitted)
    # Whatever tilts a picture tilts two of its sides.
    return fitted if np.count_nonzero(steps.min(axis=1) > _TILTED * steps.max(axis=1)) >= 2 else None


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A line through a place, (2,), clockwise around the sheet; `step` has length 1."""

    place: Floats
    step: Floats

    def beyond(self, places: Floats) -> Floats:
        """How far outside places, (n, 2), lie: (n,); inside is negative."""
        distance: Floats = (places - self.place) @ np.array([self.step[1], -self.step[0]])
        return distance


def _side(start: Floats, end: Floats, outline: _Outline) -> _Side | None:
    """Fitted to the outline, if that is straight; along the border of the picture there is nothing to fit."""
    length = float(np.hypot(*(end - start)))
    step = (end - start) / length
    # From the middles of the outermost pixels to their outer edges.
    side = _Side(start + 0.5 * np.array([step[1], -step[0]]), step)
    if outline.at_border(start, end):
        return side
    places = outline.along(step)
    reached = (places - start) @ step
    places = places[(reached > _ENDS * length) & (reached < (1 - _ENDS) * length)]
    for near in _NEAR:
        close = places[np.abs(side.beyond(places)) <= near]
        if len(close) < _LEAST_SIDE / 4:
            return None
        middle = close.mean(axis=0)
        direction = np.linalg.svd(close - middle, full_matrices=False)[2][0]
        side = _Side(middle, direction * np.sign(direction @ step))
    beyond = side.beyond(places)
    straight = np.mean(np.abs(beyond) <= 1) >= _ON_SIDE and np.mean(beyond > 1) <= _BEYOND
    return side if straight else None


def _meeting(before: _Side, after: _Side) -> Floats:
    """Where two sides meet."""
    back, _ = np.linalg.solve(np.stack([before.step, -after.step], axis=1), after.place - before.place)
    place: Floats = before.place + back * before.step
    return place
