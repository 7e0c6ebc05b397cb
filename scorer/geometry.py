"""Whether two pictures have points in common that lie in the same arrangement: one formula, for numpy and for graphs.

Two points match when each is the other's nearest by signs. Straight or mirrored: whichever has the better matches. Of
the 24 best every one proposes a similarity transform; the one with the heaviest followers is fitted twice by least
squares. Of all matches those count that agree with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from neardup.points.describe import COUNT
from neardup.points.packing import BITS, EVEN, POINT, SIGN_NUMBERS, SIGNS, UNPACKED
from scorer.ops import Ops, Tensor

__all__ = ["NUMBERS", "Similarity", "geometry", "whole"]

NUMBERS: Final = ("inliers", "weight", "probe area", "candidate area", "share")
"""What the check says: the matches that agree; their weight, each `_FARTHEST` + 1 - differing signs; what part of the
square of the long side they cover, in either picture; their share of the probe's points that lie inside the other."""
_FARTHEST: Final = int(0.3 * SIGNS)
_AGREEMENT: Final = float(SIGNS - 2 * _FARTHEST)
_MATCHES: Final = 24
_VOTE: Final = 10.0
_VOTE_SLACK: Final = 0.15
_FIRST_FIT: Final = 10.0
_LAST_FIT: Final = 7.0
"""How far beside its place a point may lie, in pixels of 256."""
_SIZES_APART: Final = 0.7
_TURNED_APART: Final = float(np.cos(0.5))
_AREA: Final = 12 / 255**2
_FEWEST: Final = 3.0
_LARGEST: Final = float(2**BITS - 1)

_RANKS: Final = 0.4
_RANK: Final = (np.arange(COUNT) * _RANKS / COUNT).astype(np.float32)[None]
_TIES: Final = _RANK[:, None, :] + _RANK[:, :, None] / COUNT
"""Of equals the earlier. Less than a half, so that from a whole number less this both can be told."""
_VOTE_TIES: Final = (np.arange(_MATCHES) * 1e-3 / _MATCHES).astype(np.float32)[None]


def geometry(ops: Ops, probes: Tensor, candidates: Tensor) -> tuple[Tensor, "Similarity"]:
    """Packed points of pairs, (n, POINTS) twice -> (n, len(NUMBERS)), and where the probe lies in the candidate. Any
    numbers will do; they are taken as whole ones from 0 to 2047."""
    mine, theirs = _Points.unpacked(ops, probes), _Points.unpacked(ops, candidates)
    match, weight, flip = _matched(ops, mine, theirs)
    u, v, size, turn = (ops.pick(each, match) for each in (theirs.x, theirs.y, theirs.size, theirs.turn))
    way = flip * -2.0 + 1.0
    x = mine.x * way
    columns = (x, mine.y, u, v, size - mine.size, turn - (mine.turn * way + flip * np.pi), weight)
    best = ops.best(_stacked(ops, columns, COUNT), weight - _RANK, _MATCHES)
    few = _Matches(ops, _unstacked(ops, best, len(columns), _MATCHES), way)
    close = few.within(few.fitted(few.voted()), _FIRST_FIT)
    every = _Matches(ops, columns, way)
    inliers = every.within(few.fitted(close), _LAST_FIT)
    fit = every.fitted(inliers)
    return ops.join(_said(every, inliers, fit, mine, theirs)), fit


def whole(ops: Ops, packed: Tensor) -> Tensor:
    """Packed numbers as they should be, whatever a producer sent."""
    return ops.apply("Floor", ops.clip(packed, 0.0, _LARGEST))


def _stacked(ops: Ops, rows: Sequence[Tensor], width: int) -> Tensor:
    """Some (n, width) -> (n, their number, width)"""
    return ops.shaped(ops.join(rows), len(rows), width)


def _unstacked(ops: Ops, table: Tensor, rows: int, width: int) -> Sequence[Tensor]:
    """(n, rows, width) -> each row (n, width)"""
    return ops.split(ops.shaped(table, rows * width), (width,) * rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """Of the points of pictures, each (n, COUNT): place, logarithm of the size, angle, whether the point is there. Its
    even and its odd signs, +1 and -1, or 0 for one that is not there: (n, COUNT, SIGNS / 2) each."""

    x: Tensor
    y: Tensor
    size: Tensor
    turn: Tensor
    there: Tensor
    even: Tensor
    odd: Tensor

    @classmethod
    def unpacked(cls, ops: Ops, packed: Tensor) -> Self:
        table = ops.shaped(whole(ops, packed), COUNT, POINT)
        *place, words = ops.split(table, (1, 1, 1, SIGN_NUMBERS))
        x, y, shape = (ops.shaped(each, COUNT) for each in place)
        size = ops.apply("Floor", shape * (1 / 64))
        turn = shape - size * 64.0
        there = ops.number(shape > 0.5)
        # Of a point that is not there, whatever the signs say, zeros are looked up.
        words = words + ops.shaped(there * -(_LARGEST + 1) + (_LARGEST + 1), COUNT, 1)
        even, odd = (
            ops.shaped(ops.look(UNPACKED, each), COUNT, EVEN)
            for each in ops.split(words, (SIGN_NUMBERS // 2, SIGN_NUMBERS // 2))
        )
        return cls(x, y, size * (np.log(2) / 4), turn * (2 * np.pi / 64), there, even, odd)


def _matched(ops: Ops, mine: _Points, theirs: _Points) -> tuple[Tensor, Tensor, Tensor]:
    """With whom each of mine may match, (n, COUNT); how well, (n, COUNT), 0 for who matches nobody; 1 for mirrored
    pairs, (n, 1)."""
    even = mine.even @ ops.across(theirs.even) - _TIES
    odd = mine.odd @ ops.across(theirs.odd)
    straight, weight = _mutual(ops, even + odd)
    mirrored, mirrored_weight = _mutual(ops, even - odd)
    better = ops.total(mirrored_weight * mirrored_weight, 1) > ops.total(weight * weight, 1)
    return ops.either(better, mirrored, straight), ops.either(better, mirrored_weight, weight), ops.number(better)


def _mutual(ops: Ops, agreement: Tensor) -> tuple[Tensor, Tensor]:
    """Of whole numbers less `_TIES`, (n, COUNT, COUNT): the nearest of each of mine, and how well they match."""
    of_mine, of_theirs = ops.shaped(ops.most(agreement, 2), COUNT), ops.shaped(ops.most(agreement, 1), COUNT)
    signs = ops.apply("Round", of_mine)
    # No two are equal, so the largest says where it is. Half a step more, for what rounding takes away.
    nearest = ops.apply("Floor", (signs - of_mine) * (COUNT / _RANKS) + 0.5 / COUNT)
    matches = ops.equal(ops.pick(of_theirs, nearest), of_mine) & (of_mine > _AGREEMENT - 0.8)
    return nearest, ops.number(matches) * (signs - (_AGREEMENT - 2)) * 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """u = a x - b y, v = b x + a y around the `middle` x, y, u, v; x of the probe times `way`, -1 of a mirrored one.
    `there`: whether enough points say so. Each (n, 1)."""

    a: Tensor
    b: Tensor
    middle: Sequence[Tensor]
    way: Tensor
    there: Tensor


class _Matches:
    """Places of matching points, each (n, matches): x, y of the probe; u, v of the candidate."""

    def __init__(self, ops: Ops, columns: Sequence[Tensor], way: Tensor) -> None:
        self.ops = ops
        self._way = way
        self.x, self.y, self.u, self.v, self._larger, turned, weight = columns
        self._there = ops.number(weight > 0.25)
        self.weight = weight * self._there
        self._cosine, self._sine = ops.apply("Cos", turned), ops.apply("Sin", turned)

    def voted(self) -> Tensor:
        """1 for who follows the proposal with the heaviest followers."""
        ops = self.ops
        x, y, u, v = self.x, self.y, self.u, self.v
        scale = ops.apply("Exp", self._larger)
        a, b = scale * self._cosine, scale * self._sine
        one = self._there * 0.0 + 1.0

        def proposed(*pairs: tuple[Tensor, Tensor]) -> Tensor:
            """Of products of what is the proposal's with what is the follower's, the sums: (n, _MATCHES, _MATCHES)."""
            proposals, followers = (_stacked(ops, each, _MATCHES) for each in zip(*pairs, strict=True))
            return ops.across(proposals) @ followers

        beside = proposed((a, x), (b * -1.0, y), (one * -1.0, u), (u - a * x + b * y, one))
        below = proposed((b, x), (a, y), (one * -1.0, v), (v - b * x - a * y, one))
        square, twice = x * x + y * y, scale * -2.0
        far = proposed((square * scale, one), (scale, square), (x * twice, x), (y * twice, y))
        allowed = ops.apply("Sqrt", ops.maximum(far, 0.0)) * _VOTE_SLACK + _VOTE
        near = beside * beside + below * below < ops.shaped(scale, _MATCHES, 1) * (allowed * allowed)
        larger = ops.shaped(self._larger, 1, _MATCHES) - ops.shaped(self._larger, _MATCHES, 1)
        alike = proposed((self._cosine, self._cosine), (self._sine, self._sine))
        agree = near & (ops.apply("Abs", larger) < _SIZES_APART) & (alike > _TURNED_APART)
        followers = ops.number(agree)
        votes = ops.shaped(followers @ ops.shaped(self.weight, _MATCHES, 1), _MATCHES) * self._there - _VOTE_TIES
        chosen = ops.number(ops.equal(votes, ops.most(votes, 1)))
        return ops.shaped(ops.shaped(chosen, 1, _MATCHES) @ followers, _MATCHES) * self._there

    def within(self, fit: Similarity, pixels: float) -> Tensor:
        """1 for who lies so near to where the transform puts it."""
        ops = self.ops
        x, y, u, v = (t - mean for t, mean in zip((self.x, self.y, self.u, self.v), fit.middle, strict=True))
        scale = ops.apply("Sqrt", ops.maximum(fit.a * fit.a + fit.b * fit.b, 1e-6))
        beside, below = fit.a * x - fit.b * y - u, fit.b * x + fit.a * y - v
        near = beside * beside + below * below < scale * pixels**2
        alike = (self._cosine * fit.a + self._sine * fit.b) / scale
        as_large = ops.apply("Abs", self._larger - ops.apply("Log", scale)) < _SIZES_APART
        return ops.number(near & as_large & (alike > _TURNED_APART)) * self._there

    def fitted(self, chosen: Tensor) -> Similarity:
        """By least squares to the chosen."""
        middle = [self.mean(chosen, t) for t in (self.x, self.y, self.u, self.v)]
        x, y, u, v = (t - mean for t, mean in zip((self.x, self.y, self.u, self.v), middle, strict=True))
        square = self.ops.maximum(self.ops.total(chosen * (x * x + y * y), 1), 1e-3)
        a, b = (self.ops.total(chosen * t, 1) / square for t in (x * u + y * v, x * v - y * u))
        return Similarity(a, b, middle, self._way, self.ops.total(chosen, 1) > _FEWEST - 0.5)

    def mean(self, chosen: Tensor, values: Tensor) -> Tensor:
        ops = self.ops
        return ops.total(chosen * values, 1) / ops.maximum(ops.total(chosen, 1), 1.0)


def _said(found: _Matches, inliers: Tensor, fit: Similarity, mine: _Points, theirs: _Points) -> list[Tensor]:
    """The numbers, each (n, 1)."""
    ops = found.ops
    x, y, u, v = (t - mean for t, mean in zip((found.x, found.y, found.u, found.v), fit.middle, strict=True))

    def area(p: Tensor, q: Tensor) -> Tensor:
        pp, qq, pq = (found.mean(inliers, t) for t in (p * p, q * q, p * q))
        return ops.apply("Sqrt", ops.maximum(pp * qq - pq * pq, 0.0)) * _AREA

    # All points, not only those that match.
    places = fit.a * x - fit.b * y, fit.b * x + fit.a * y
    visible = mine.there
    for place, middle, all_of in zip(places, fit.middle[2:], (theirs.x, theirs.y), strict=True):
        moved = place + middle
        # A point that is not there lies at 0, 0, which takes the box to the picture's own corner: no harm.
        least = ops.most(all_of * -1.0 * theirs.there, 1) * -1.0
        visible = visible * ops.number((moved > least - _LAST_FIT) & (moved < ops.most(all_of, 1) + _LAST_FIT))
    count = ops.total(inliers, 1)
    share = count / ops.maximum(ops.maximum(ops.total(visible, 1), count), _FEWEST)
    return [count, ops.total(inliers * found.weight, 1), area(x, y), area(u, v), share]
