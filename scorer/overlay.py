"""Whether two pictures show the same where one is laid on the other: one formula, for numpy and for graphs.

The thumbnail of the probe is compared with that of the candidate, block by block, by normalised cross-correlation. One
layout with other contents agrees in few blocks, a copy in most of those that it shows. The probe is laid where the
common points say (`scorer.geometry`); where they say nothing, the whole picture on the whole picture.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from neardup.embedder.thumbnail import CELLS, LEVELS, SIDE, THUMBNAIL
from scorer.geometry import Similarity, whole
from scorer.ops import Ops, Tensor

__all__ = ["LAID", "NUMBERS", "laid", "overlay"]

NUMBERS: Final = ("compared", "alike")
"""What it says: how many blocks both show with structure in one of them, and how many of these are alike."""
LAID: Final = 8
"""Numbers that say where to lay the probe: six of an affine map, and two that say which."""
_BLOCK: Final = 4
_BLOCKS: Final = (SIDE // _BLOCK) ** 2
_ACROSS: Final = np.tile(np.arange(SIDE, dtype=np.float32), SIDE)
_DOWN: Final = np.repeat(np.arange(SIDE, dtype=np.float32), SIDE)
_GRID: Final = np.stack([_ACROSS, _DOWN, np.ones_like(_DOWN)])
_POOL: Final = np.tile(np.repeat(np.eye(SIDE // _BLOCK, dtype=np.float32), _BLOCK, axis=0), (_BLOCK, 1))
"""Of the cells of a row of blocks the sum of each block: (_BLOCK * SIDE, SIDE / _BLOCK)."""
_PIXELS: Final = 256 / SIDE
_FIRST: Final = (_PIXELS - 1) / 2
"""The middle of a cell is so many pixels of 256 from its first one."""
_NOISE: Final = 0.1
"""A variance that any block has."""
_PART: Final = 0.4
_CORRELATION: Final = 0.2
"""What part of a block must be shown, and how well it must correlate, at least, to count at all."""
_NEARLY: Final = 1e-3
"""So far before the last cell, so that there is one behind."""


def laid(ops: Ops, found: Similarity, way: Tensor) -> Tensor:
    """Where the probe is to be laid, (n, LAID): what the common points say, whether they say it, and `way`, (n, 1): -1
    when the candidate as a whole is rather a mirror image of the probe, else 1."""
    x, y, u, v = (middle - _FIRST for middle in found.middle)
    # Of a mirrored picture x runs the other way, from the same edge.
    x = x + (found.way * -1.0 + 1.0) * _FIRST
    a, b = found.a, found.b
    beside, below = (u - a * x + b * y) * (1 / _PIXELS), (v - b * x - a * y) * (1 / _PIXELS)
    by_points = [a * found.way, b * -1.0, beside, b * found.way, a, below]
    return ops.join([*by_points, ops.number(found.there), way])


def overlay(ops: Ops, probe: Tensor, candidate: Tensor, lay: Tensor) -> Tensor:
    """Packed thumbnails, (n, THUMBNAIL) twice, and where to lay the first, (n, LAID) -> (n, len(NUMBERS)). Any numbers
    will do for packed ones."""
    mine, theirs = _Cells.unpacked(ops, probe), _Cells.unpacked(ops, candidate)
    by_points, there, way = ops.split(lay, (6, 1, 1))
    chosen = ops.either(there > 0.5, by_points, _as_wholes(ops, mine, theirs, way))
    across, down = (coefficients @ _GRID for coefficients in ops.split(chosen, (3, 3)))
    seen, shown = theirs.at(ops, across, down)
    return _said(ops, ops.part(mine.values, 0, CELLS), seen, shown * mine.shown(ops))


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """`values`, row by row of SIDE; `width` and `height`, (n, 1)."""

    values: Tensor
    width: Tensor
    height: Tensor

    @classmethod
    def unpacked(cls, ops: Ops, packed: Tensor) -> Self:
        shape, numbers = ops.split(whole(ops, packed), (1, THUMBNAIL - 1))
        height = ops.apply("Floor", shape * (1 / SIDE))
        width = shape - height * float(SIDE)
        return cls(
            ops.shaped(ops.look(LEVELS, numbers), LEVELS.shape[1] * (THUMBNAIL - 1)),
            width + 1.0,
            ops.clip(height + 1.0, 1.0, float(SIDE)),
        )

    def shown(self, ops: Ops) -> Tensor:
        """1 for cells of the picture, 0 for what is beside it: (n, CELLS)."""
        return ops.number((self.width > _ACROSS[None]) & (self.height > _DOWN[None]))

    def at(self, ops: Ops, across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
        """Between cells, bilinear: of places (n, CELLS) the values, and how far they lie inside, 0 to 1."""
        column, right, inside = self._between(ops, across, self.width)
        row, below, inside_too = self._between(ops, down, self.height)
        number = row * float(SIDE) + column

        def in_row(first: Tensor) -> Tensor:
            left = ops.pick(self.values, first)
            return left + right * (ops.pick(self.values, first + 1.0) - left)

        above = in_row(number)
        return above + below * (in_row(number + float(SIDE)) - above), inside * inside_too

    @staticmethod
    def _between(ops: Ops, place: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The cell before, how far beyond it, and how far inside."""
        within = ops.maximum(ops.minimum(place, length - (1.0 + _NEARLY)), 0.0)
        cell = ops.apply("Floor", within)
        return cell, within - cell, ops.clip(ops.minimum(place + 1.0, length - place), 0.0, 1.0)


def _as_wholes(ops: Ops, mine: _Cells, theirs: _Cells, way: Tensor) -> Tensor:
    """In cells u = x, y, 1 times the first three, v the others: (n, 6)."""
    wider, higher = theirs.width / mine.width, theirs.height / mine.height
    from_right = (way * -0.5 + 0.5) * theirs.width
    none = way * 0.0
    across = [wider * way, none, wider * way * 0.5 + from_right - 0.5]
    return ops.join([*across, none, higher, higher * 0.5 - 0.5])


def _said(ops: Ops, mine: Tensor, theirs: Tensor, shown: Tensor) -> Tensor:
    """Of cells, (n, CELLS), and how far they are shown."""

    def blocks(values: Tensor) -> Tensor:
        return ops.shaped(ops.shaped(values, _BLOCK * SIDE) @ _POOL, _BLOCKS)

    cells = blocks(shown)
    count = ops.maximum(cells, 1e-6)
    my_cells, their_cells = shown * mine, shown * theirs
    my_mean, their_mean = blocks(my_cells) / count, blocks(their_cells) / count
    my_variance = ops.maximum(blocks(my_cells * mine) / count - my_mean * my_mean, 0.0)
    their_variance = ops.maximum(blocks(their_cells * theirs) / count - their_mean * their_mean, 0.0)
    common = blocks(my_cells * theirs) / count - my_mean * their_mean
    correlation = common / ops.apply("Sqrt", (my_variance + _NOISE) * (their_variance + _NOISE))
    structured = ops.clip(ops.maximum(my_variance, their_variance) * (1 / _NOISE) - 1.0, 0.0, 1.0)
    counted = structured * ops.clip((cells * (1 / _BLOCK**2) - _PART) * 2.5, 0.0, 1.0)
    alike = ops.clip((correlation - _CORRELATION) * 2.0, 0.0, 1.0)
    return ops.join([ops.total(each, 1) for each in (counted, counted * alike)])
