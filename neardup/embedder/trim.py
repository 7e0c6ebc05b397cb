"""Cutting off letterboxes, frames and the bars of screenshots, so that a picture and its framed copy look alike.

Rows are cut only up to a straight edge, where nearly all of one row and little of the next has the frame's colour: a
sky or a white backdrop that ends in a skyline has no such edge and stays. A picture in a post or on the screen of a
telephone lies on a ground that both ends show, with words and buttons on it. Otherwise a row belongs to the frame when
most of its pixels have one colour, whichever.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from neardup.embedder.small import Pixels, alike, small_copy

__all__ = ["content_box", "trim"]

_TOLERANCE: Final = 16
_PLAIN: Final = 0.55
_PURE: Final = 0.93
_JUMP: Final = 0.6
_GROUND: Final = 0.3
"""Of a line of text so much shows the ground, of a picture less."""
_UNEVEN: Final = 0.3
"""What part of a picture's rows has more than one colour, at least: stripes are no picture on a ground."""
_LEAST_SIDE: Final = 0.3
_FLATTEST: Final = 0.2
"""A picture across a telephone's screen is at least so high, in parts of its width: far less than 0.3 of the screen."""
_WORKING_SIDE: Final = 192
_AT_ONCE: Final = 8


def trim(image: Image.Image) -> Image.Image:
    """The picture without its frame; the picture itself when it has none."""
    box = content_box(image)
    return image if box == (0, 0, *image.size) else image.crop(box)


def content_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Left, upper, right, lower in pixels of what is inside the frame."""
    small = small_copy(image, _WORKING_SIDE)
    height, width = small.shape[:2]
    top, bottom = _inside(small, min(_LEAST_SIDE * height, _FLATTEST * width))
    left, right = _inside(small[top:bottom].transpose(1, 0, 2), _LEAST_SIDE * width)
    x, y = image.width / width, image.height / height
    # A cut row may be half frame, half picture: one more working pixel goes with the frame.
    return (
        round((left + 1) * x) if left else 0,
        round((top + 1) * y) if top else 0,
        round((right - 1) * x) if right < width else image.width,
        round((bottom - 1) * y) if bottom < height else image.height,
    )


def _inside(rows: Pixels, least: float) -> tuple[int, int]:
    """First and end index of the rows inside the frame; `least`: how many there must be on a ground."""
    bounds = _on_ground(rows)
    if bounds is None:
        bounds, least = (_frame_end(rows), len(rows) - _frame_end(rows[::-1])), _LEAST_SIDE * len(rows)
    first, last = bounds
    return (first, last) if last - first >= least else (0, len(rows))


def _on_ground(rows: Pixels) -> tuple[int, int] | None:
    """The same when both ends show one ground, and what is between them is no stripes."""
    ground = np.median(np.concatenate([rows[:2], rows[-2:]]).reshape(-1, 3), axis=0).astype(np.int16)
    share = _agreement(rows, ground[None])
    first, last = _ground_end(share), len(rows) - _ground_end(share[::-1])
    if not first or last == len(rows) or first >= last:
        return None
    inside = rows[first:last]
    uneven = _agreement(inside, np.median(inside, axis=1).astype(np.int16)) < _PURE
    return (first, last) if uneven.mean() >= _UNEVEN else None


def _ground_end(share: npt.NDArray[np.float64]) -> int:
    """How many rows at the start show the ground, 0 when they do not end in a straight edge."""
    end = int(np.argmax(share < _GROUND))
    return end if share[max(0, end - 2) : end].max(initial=0) >= _PURE else 0


def _frame_end(rows: Pixels) -> int:
    """How many rows at the start belong to a frame: up to the last straight edge among the plain rows there."""
    colour, plain = _plain_rows(rows)
    # Resampling may blur an edge over one row, so what comes after it is looked for two rows in.
    before = np.arange(min(len(plain), len(rows) - 2))
    edges = (plain[before] >= _PURE) & (_agreement(rows[before + 2], colour[before]) <= 1 - _JUMP)
    if not edges.any():
        return 0
    last = int(before[edges][-1])
    return last + (1 if _agreement(rows[last + 1][None], colour[last][None])[0] < _PURE else 2)


def _plain_rows(rows: Pixels) -> tuple[Pixels, npt.NDArray[np.float64]]:
    """Of the rows before the first that is not plain: their colour, and how many of their pixels have it."""
    colours, shares = [], []
    # Few pictures begin with more than a few plain rows, and medians are dear.
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        colour = np.median(some, axis=1).astype(np.int16)
        share = _agreement(some, colour)
        end = len(some) if (share >= _PLAIN).all() else int(np.argmin(share >= _PLAIN))
        colours.append(colour[:end])
        shares.append(share[:end])
        if end < len(some):
            break
    return np.concatenate(colours), np.concatenate(shares)


def _agreement(rows: Pixels, colour: Pixels) -> npt.NDArray[np.float64]:
    """The share of each row's pixels that are within the tolerance of its colour."""
    share: npt.NDArray[np.float64] = alike(rows, colour[:, None, :], _TOLERANCE).mean(axis=1)
    return share
