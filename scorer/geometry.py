"""Whether two pictures have points in common that lie in the same arrangement: one formula, for numpy and for graphs.

Two points match when each is the other's nearest by signs. Straight or mirrored: whichever has the better matches. Of
the 24 best every one proposes a similarity transform; the one with the heaviest followers is fitted twice by least
squares. Of all matches those count that agree with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from neardup.points.describe import COUNT
from neardup.points.packing import BITS, EVEN, POINT, SIGN_NUMBERS, SIGNS, unpacking
from scorer.ops import Ops, Tensor

__all__ = ["NUMBERS", "geometry", "whole"]

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

_UNPACK: Final = unpacking(SIGNS)
_RANK: Final = (np.arange(COUNT) * 0.4 / COUNT).astype(np.float32)
_TIES: Final = (_RANK[None, :] + _RANK[:, None] / COUNT)[None]
"""Of equals the earlier."""
_VOTE_TIES: Final = (np.arange(_MATCHES) * 1e-3 / _MATCHES).astype(np.float32).reshape(1, _MATCHES, 1)


def geometry(ops: Ops, probes: Tensor, candidates: Tensor) -> Tensor:
    """Packed points of pairs, (n, POINTS) twice -> (n, len(NUMBERS)). Any numbers will do; they are taken as whole ones
    from 0 to 2047."""
    places, there, *signs = _unpack(ops, probes)
    their_places, they_are_there, *their_signs = _unpack(ops, candidates)
    matches, weight, flip = _matched(ops, signs, their_signs)
    x, y, size, turn = ops.split(places, (1, 1, 1, 1))
    u, v, their_size, their_turn = ops.split(matches @ their_places, (1, 1, 1, 1))
    way = flip * -2.0 + 1.0
    x = x * way
    table = ops.join([x, y, u, v, their_size - size, their_turn - (turn * way + flip * np.pi), weight])
    best = _Matches(ops, ops.best(table, weight - _RANK.reshape(1, COUNT, 1), _MATCHES))
    close = best.within(best.fitted(best.voted()), _FIRST_FIT)
    every = _Matches(ops, table)
    inliers = every.within(best.fitted(close), _LAST_FIT)
    return ops.flat(ops.join(_said(ops, every, inliers, (x, y, there), (their_places, they_are_there))))


def whole(ops: Ops, packed: Tensor) -> Tensor:
    """Packed numbers as they should be, whatever a producer sent."""
    return ops.apply("Floor", ops.maximum(ops.maximum(packed, 0.0) * -1.0, -_LARGEST) * -1.0)


def _unpack(ops: Ops, packed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places (n, COUNT, 4) as x, y, log of the size, angle; whether the point is there; its even and its odd
    signs, +1 and -1, or 0 for one that is not there."""
    x, y, shape, words = ops.split(ops.rows(whole(ops, packed), COUNT, POINT), (1, 1, 1, SIGN_NUMBERS))
    size = ops.apply("Floor", shape * (1 / 64))
    turn = shape - size * 64.0
    there = ops.number(shape > 0.5)
    bits = ops.apply("Floor", words @ _UNPACK) - ops.apply("Floor", words @ (_UNPACK / 2)) * 2.0
    even, odd = ops.split((bits * 2.0 - 1.0) * there, (EVEN, SIGNS - EVEN))
    return ops.join([x, y, size * (np.log(2) / 4), turn * (2 * np.pi / 64)]), there, even, odd


def _matched(ops: Ops, signs: Sequence[Tensor], their_signs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Who matches whom, (n, COUNT, COUNT); how well, (n, COUNT, 1), 0 for who matches nobody; 1 for mirrored pairs."""
    even, odd = (mine @ ops.across(theirs) for mine, theirs in zip(signs, their_signs, strict=True))
    even = even - _TIES
    straight, weight = _mutual(ops, even + odd)
    mirrored, mirrored_weight = _mutual(ops, even - odd)
    better = ops.total(mirrored_weight * mirrored_weight, 1) > ops.total(weight * weight, 1)
    flip = ops.number(better)
    return straight + flip * (mirrored - straight), weight + flip * (mirrored_weight - weight), flip


def _mutual(ops: Ops, agreement: Tensor) -> tuple[Tensor, Tensor]:
    of_mine, of_theirs = ops.most(agreement, 2), ops.most(agreement, 1)
    both_best = ops.equal(agreement, ops.maximum(ops.maximum(of_mine, of_theirs), _AGREEMENT - 0.8))
    matches = ops.number(both_best)
    return matches, ops.total(matches, 2) * (ops.apply("Round", of_mine) - (_AGREEMENT - 2)) * 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """u = a x - b y, v = b x + a y around the `middle` x, y, u, v; each (n, 1, 1)."""

    a: Tensor
    b: Tensor
    middle: Sequence[Tensor]


class _Matches:
    """Places of matching points, each (n, matches, 1): x, y of the probe; u, v of the candidate."""

    def __init__(self, ops: Ops, table: Tensor) -> None:
        self._ops = ops
        self.x, self.y, self.u, self.v, self._larger, turned, weight = ops.split(table, (1,) * 7)
        self._there = ops.number(weight > 0.25)
        self.weight = weight * self._there
        self._cosine, self._sine = ops.apply("Cos", turned), ops.apply("Sin", turned)

    def voted(self) -> Tensor:
        """1 for who follows the proposal with the heaviest followers."""
        ops = self._ops
        scale = ops.apply("Exp", self._larger)
        a, b = scale * self._cosine, scale * self._sine
        x, y, u, v, larger = (ops.across(t) - t for t in (self.x, self.y, self.u, self.v, self._larger))
        beside, below = a * x - b * y - u, b * x + a * y - v
        far = ops.apply("Sqrt", scale * (x * x + y * y))
        allowed = far * _VOTE_SLACK + _VOTE
        agree = (beside * beside + below * below < scale * allowed * allowed) & (
            ops.apply("Abs", larger) < _SIZES_APART
        )
        alike = self._cosine @ ops.across(self._cosine) + self._sine @ ops.across(self._sine)
        followers = ops.number(agree & (alike > _TURNED_APART)) * self._there
        votes = followers @ self.weight - _VOTE_TIES
        chosen = ops.number(ops.equal(votes, ops.most(votes, 1)))
        return ops.across(ops.across(chosen) @ followers) * self._there

    def within(self, fit: "_Fit", pixels: float) -> Tensor:
        """1 for who lies so near to where the transform puts it."""
        ops = self._ops
        x, y, u, v = (t - mean for t, mean in zip((self.x, self.y, self.u, self.v), fit.middle, strict=True))
        scale = ops.apply("Sqrt", ops.maximum(fit.a * fit.a + fit.b * fit.b, 1e-6))
        beside, below = fit.a * x - fit.b * y - u, fit.b * x + fit.a * y - v
        near = beside * beside + below * below < scale * pixels**2
        alike = (self._cosine * fit.a + self._sine * fit.b) / scale
        as_large = ops.apply("Abs", self._larger - ops.apply("Log", scale)) < _SIZES_APART
        return ops.number(near & as_large & (alike > _TURNED_APART)) * self._there

    def fitted(self, chosen: Tensor) -> "_Fit":
        """By least squares to the chosen."""
        middle = [self.mean(chosen, t) for t in (self.x, self.y, self.u, self.v)]
        x, y, u, v = (t - mean for t, mean in zip((self.x, self.y, self.u, self.v), middle, strict=True))
        square = self._ops.maximum(self._ops.total(chosen * (x * x + y * y), 1), 1e-3)
        a, b = (self._ops.total(chosen * t, 1) / square for t in (x * u + y * v, x * v - y * u))
        return _Fit(a, b, middle)

    def mean(self, chosen: Tensor, values: Tensor) -> Tensor:
        ops = self._ops
        return ops.total(chosen * values, 1) / ops.maximum(ops.total(chosen, 1), 1.0)


def _said(ops: Ops, found: _Matches, inliers: Tensor, mine: Sequence[Tensor], theirs: Sequence[Tensor]) -> list[Tensor]:
    """The numbers, each (n, 1, 1). `mine`: x, y and presence of all points; `theirs`: places and presence."""
    fit = found.fitted(inliers)
    x, y, u, v = (t - mean for t, mean in zip((found.x, found.y, found.u, found.v), fit.middle, strict=True))

    def area(p: Tensor, q: Tensor) -> Tensor:
        pp, qq, pq = (found.mean(inliers, t) for t in (p * p, q * q, p * q))
        return ops.apply("Sqrt", ops.maximum(pp * qq - pq * pq, 0.0)) * _AREA

    across, down = mine[0] - fit.middle[0], mine[1] - fit.middle[1]
    places = fit.a * across - fit.b * down, fit.b * across + fit.a * down
    visible = mine[2]
    for place, middle, all_of in zip(places, fit.middle[2:], ops.split(theirs[0], (1, 1, 1, 1))[:2], strict=True):
        moved = place + middle
        # A point that is not there lies at 0, 0, which takes the box to the picture's own corner: no harm.
        least = ops.most(all_of * -1.0 * theirs[1], 1) * -1.0
        visible = visible * ops.number((moved > least - _LAST_FIT) & (moved < ops.most(all_of, 1) + _LAST_FIT))
    count = ops.total(inliers, 1)
    share = count / ops.maximum(ops.maximum(ops.total(visible, 1), count), _FEWEST)
    return [count, ops.total(inliers * found.weight, 1), area(x, y), area(u, v), share]
