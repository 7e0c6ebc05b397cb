"""The scorer's model. At first sight: a learned metric, a cosine, the term overlap and the agreement of signs, weighed:

    sight = bias + a * cosine + b * overlap - sum_k u_k * softplus(w_k . (p - c)^2 + t_k)
                 + sum_ij g_ij * softplus(s * (agreement_j - knot_ij))

with a, b, u, w, g not negative: the further two images are apart in any direction, and the fewer signs agree, the
lower the sight, also for images unlike all of the training (a metric learned from squared differences; Xing et al.,
NIPS 2002). For pairs that are not hopeless at first sight, local points are checked (`scorer.geometry`), and one
picture is laid on the other (`scorer.overlay`). What all three say is weighed by a logistic function (`scorer.fusion`).

One formula for numpy, TensorFlow and ONNX (`scorer.ops`). The sight is trained by `scorer.keras_network`, the trust in
it by `scorer.fusion`.

A score embedding is the content, of any dimension, then the signs (`neardup.embedder.signs`), the points
(`neardup.points`) and the thumbnail (`neardup.embedder.thumbnail`), all packed. At first sight it makes no difference
which image is the probe.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Self

import numpy as np

from neardup.embedder.signs import MIRRORED, SIGN_NUMBERS, SIGNS
from neardup.embedder.thumbnail import THUMBNAIL
from neardup.points.packing import POINTS, UNPACKED
from neardup.types import PairBatch, Vector
from scorer.fusion import CHECKED, EVIDENCE, OF_SIGHT, of_check, of_sight
from scorer.geometry import geometry, whole
from scorer.ops import NUMPY, Ops, Tensor
from scorer.overlay import NUMBERS as OF_THUMBNAILS
from scorer.overlay import laid, overlay

__all__ = [
    "AFTER_CONTENT",
    "KNOTS",
    "LATER",
    "SHARPNESS",
    "UNITS",
    "WEIGHINGS",
    "Network",
    "Sight",
    "check",
    "evidence",
    "first_sight",
    "logits",
    "sight",
]

UNITS: Final = 32
WEIGHINGS: Final = 3
KNOTS: Final = 5
"""Of each weighing of the signs: where the score begins to rise faster."""
SHARPNESS: Final = 12.0
AFTER_CONTENT: Final = SIGN_NUMBERS + POINTS + THUMBNAIL
"""How many numbers of a score embedding follow the content."""
LATER: Final = POINTS + THUMBNAIL
"""How many numbers at its end only the check looks at."""

_OVERLAP_SCALE: Final = 1 / 8
_HOPELESS: Final = -3.0
"""Sight. Below it are four of five wrong pairs, and hardly a right one that points could save."""
_LIKELY: Final = 2.0
"""Sight, from which on a whole picture is laid on a whole one."""
_NEARLY: Final = 7.0
"""So far below the sight of equal ones, pairs begin to be nearly equal."""
_CERTAIN: Final = 7.0
"""Logit of a pair that is equal at first sight: .9991."""
_TINY: Final = 1e-12
_ONE_WAY: Final = MIRRORED.astype(np.float32)[:, None]
_SPREAD: Final = np.repeat(np.eye(WEIGHINGS, dtype=np.float32) * np.float32(SHARPNESS), KNOTS, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The numbers of the formula above. Shapes: `metric` (dimension, UNITS), `offsets` (UNITS,), `sign_weights` (SIGNS,
    WEIGHINGS) of sum 1 in each column, `knots` (WEIGHINGS * KNOTS,) the bias of each rise, weighing by weighing;
    `weights` (UNITS + WEIGHINGS * KNOTS + 2,): of the hidden units (not positive), the rises, cosine and overlap (not
    negative); `bias` (1,)."""

    metric: Vector
    offsets: Vector
    sign_weights: Vector
    knots: Vector
    weights: Vector
    bias: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """`trust`: of what `scorer.fusion.evidence` gives, not negative, shape (EVIDENCE,); `start`: the bias, (1,).
    `sure`: the sight from which on a pair is nearly equal, and what every further step of it adds, (2,)."""

    sight: Sight
    trust: Vector
    start: Vector
    sure: Vector

    def logits(self, batch: PairBatch) -> Vector:
        """Shape (n,)."""
        overlap = batch.overlap[:, None].astype(np.float32)
        result: Vector = logits(NUMPY, self, batch.probes[batch.probe_of], batch.candidates, overlap)[:, 0]
        return result

    def score(self, batch: PairBatch) -> Vector:
        """Probabilities, shape (n,)."""
        result: Vector = (0.5 * (1 + np.tanh(0.5 * self.logits(batch)))).astype(np.float32)
        return result

    def rescaled(self, slope: float, shift: float) -> Self:
        """The network whose logits are slope * logit + shift."""
        trust, start = (values * np.float32(slope) for values in (self.trust, self.start))
        sure = self.sure * np.array([1, slope], np.float32)
        return replace(self, trust=trust, start=start + np.float32(shift), sure=sure)

    def sure_of_equals(self) -> Self:
        """The network that takes equal embeddings with a term in common for equal, though no point or thumbnail says
        so: blank pictures, and those of producers without points. Too few are among the pictures to learn from."""
        anything = np.ones((1, len(self.sight.metric) + SIGN_NUMBERS), np.float32)
        pair = (anything, anything, np.ones((1, 1), np.float32))
        at_first_sight = sight(NUMPY, self.sight, *pair)[0].item()
        logit = first_sight(NUMPY, replace(self, sure=np.zeros(2, np.float32)), *pair)[0].item()
        step = max(0.0, _CERTAIN - logit) / _NEARLY
        return replace(self, sure=np.array([at_first_sight - _NEARLY, step], np.float32))


def logits(ops: Ops, network: Network, probe: Tensor, candidate: Tensor, overlap: Tensor) -> Tensor:
    """Of score embeddings, (…, dimension) twice, float16 or float32, and overlaps, (…, 1), float32: shape (…, 1). Of
    arrays or of tensors, of pairs or of pairs in groups."""
    in_sight, in_check = (
        ops.shaped(ops.part(network.trust, *columns), 1) for columns in ((0, OF_SIGHT), (OF_SIGHT, EVIDENCE))
    )
    first, way = sight(ops, network.sight, probe, candidate, overlap)

    def weighed(numbers: Tensor) -> Tensor:
        return of_check(ops, numbers) @ in_check

    checked = _of_promising(ops, network.sight, (probe, candidate, first, way), weighed, 1)
    return of_sight(ops, first) @ in_sight + checked + _surely(ops, network, first) + network.start


def first_sight(ops: Ops, network: Network, probe: Tensor, candidate: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
    """What `logits` gives for pairs that are hopeless at first sight, (…, 1), and 1 for those that are not, else 0, (…,
    1). Score embeddings may lack their `LATER` numbers here."""
    first, _ = sight(ops, network.sight, probe, candidate, overlap)
    in_sight = ops.shaped(ops.part(network.trust, 0, OF_SIGHT), 1)
    found = of_sight(ops, first) @ in_sight + _surely(ops, network, first) + network.start
    return found, ops.number(first > _HOPELESS)


def _surely(ops: Ops, network: Network, first: Tensor) -> Tensor:
    """What being nearly equal at first sight adds: (…, 1)."""
    knot, step = (ops.part(network.sure, place, place + 1) for place in (0, 1))
    return ops.maximum(first - knot, 0.0) * step


def evidence(ops: Ops, network: Sight, probe: Tensor, candidate: Tensor, overlap: Tensor) -> Tensor:
    """What is weighed of pairs: shape (n, EVIDENCE)."""
    first, way = sight(ops, network, probe, candidate, overlap)
    numbers = _of_promising(ops, network, (probe, candidate, first, way), lambda numbers: numbers, CHECKED)
    return ops.join([of_sight(ops, first), of_check(ops, numbers)])


def _of_promising(
    ops: Ops, network: Sight, pairs: Sequence[Tensor], then: Callable[[Tensor], Tensor], width: int
) -> Tensor:
    """`then` of the numbers of the check of those pairs (probe, candidate, and what `sight` gave) that are not hopeless
    at first sight, zeros for the others: (…, width)."""
    begin = network.metric.shape[0] + SIGN_NUMBERS
    *_, at_first_sight, _ = pairs

    def checked(probe: Tensor, candidate: Tensor, first: Tensor, way: Tensor) -> Tensor:
        mine, theirs = (_numbers(ops, each, begin, begin + LATER) for each in (probe, candidate))
        return then(check(ops, mine, theirs, first, way))

    return ops.where(at_first_sight > _HOPELESS, checked, pairs, width)


def check(ops: Ops, probe: Tensor, candidate: Tensor, first: Tensor, way: Tensor) -> Tensor:
    """Points and thumbnails of pairs, packed, (n, LATER) twice, and what `sight` gave, (n, 1) twice -> (n,
    CHECKED): the numbers of `scorer.geometry`, then those of `scorer.overlay`, zeros where nothing says how to lay one
    picture on the other."""
    (points, small), (their_points, their_small) = (ops.split(each, (POINTS, THUMBNAIL)) for each in (probe, candidate))
    numbers, found = geometry(ops, points, their_points)
    worth_it = ops.maximum(ops.number(found.there), ops.number(first > _LIKELY)) > 0.5

    tables = (small, their_small, laid(ops, found, way))
    return ops.join([numbers, ops.where(worth_it, partial(overlay, ops), tables, len(OF_THUMBNAILS))])


def sight(ops: Ops, network: Sight, probe: Tensor, candidate: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Without points and thumbnails: (…, 1); and -1 for pictures that are rather mirror images, 1 for others, (…,
    1)."""
    content = network.metric.shape[0]
    mine, theirs = (_numbers(ops, each, 0, content) for each in (probe, candidate))
    difference = mine - theirs
    hidden = ops.apply("Softplus", (difference * difference) @ network.metric + network.offsets)
    bits, their_bits = (_bits(ops, _numbers(ops, each, content, content + SIGN_NUMBERS)) for each in (probe, candidate))
    # 1 where signs are alike, -1 where not.
    agreed = ops.part(bits * their_bits, 0, SIGNS)
    both_ways = agreed @ (network.sign_weights * (1 - _ONE_WAY))
    straight = agreed @ (network.sign_weights * _ONE_WAY)
    rises = ops.apply("Softplus", (both_ways + ops.apply("Abs", straight)) @ _SPREAD + network.knots)
    way = ops.number(ops.total(straight, -1) > 0.0) * 2.0 - 1.0
    lengths = ops.apply("Sqrt", ops.total(mine * mine, -1)) * ops.apply("Sqrt", ops.total(theirs * theirs, -1))
    cosine = ops.total(mine * theirs, -1) / ops.maximum(lengths, _TINY)
    shared = ops.apply("Log", overlap * _OVERLAP_SCALE + 1.0)
    return ops.join([hidden, rises, cosine, shared]) @ ops.shaped(network.weights, 1) + network.bias, way


def _numbers(ops: Ops, embeddings: Tensor, start: int, stop: int) -> Tensor:
    """Some of the columns, as float32. Not of all columns at once: most pairs are never asked for their points."""
    return ops.number(ops.part(embeddings, start, stop))


def _bits(ops: Ops, numbers: Tensor) -> Tensor:
    """Of packed signs, 1 or -1: (…, SIGN_NUMBERS * BITS), the last of which are none."""
    return ops.merged(ops.look(UNPACKED, whole(ops, numbers)))
