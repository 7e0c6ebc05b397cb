"""The scorer's model. At first sight: a learned metric, a cosine, the term overlap and the agreement of signs, weighed:

    sight = bias + a * cosine + b * overlap - sum_k u_k * softplus(w_k . (p - c)^2 + t_k)
                 + sum_ij g_ij * softplus(s * (agreement_j - knot_ij))

with a, b, u, w, g not negative: the further two images are apart in any direction, and the fewer signs agree, the
lower the sight, also for images unlike all of the training (a metric learned from squared differences; Xing et al.,
NIPS 2002). For pairs that are not hopeless at first sight, local points are checked (`scorer.geometry`). What both say
is weighed by a logistic function (`scorer.fusion`).

One formula for numpy, TensorFlow and ONNX (`scorer.ops`). The sight is trained by `scorer.keras_network`, the trust in
it by `scorer.fusion`.

A score embedding is the content, of any dimension, then the signs (`neardup.embedder.signs`), then the points
(`neardup.points`), both packed. But for the check of points it makes no difference which image is the probe.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from neardup.embedder.signs import MIRRORED, SIGN_NUMBERS, SIGNS
from neardup.points.packing import BITS, POINT, POINTS, UNPACKED
from neardup.types import PairBatch, Vector
from scorer.fusion import evidence
from scorer.geometry import NUMBERS, geometry, whole
from scorer.ops import NUMPY, Ops, Tensor

__all__ = ["AFTER_CONTENT", "KNOTS", "SHARPNESS", "UNITS", "WEIGHINGS", "Network", "Sight", "logits", "seen", "sight"]

UNITS: Final = 32
WEIGHINGS: Final = 3
KNOTS: Final = 5
"""Of each weighing of the signs: where the score begins to rise faster."""
SHARPNESS: Final = 12.0
AFTER_CONTENT: Final = SIGN_NUMBERS + POINTS
"""How many numbers of a score embedding follow the content."""

_OVERLAP_SCALE: Final = 1 / 8
_HOPELESS: Final = -2.0
"""Sight. Below it are four of five wrong pairs, and no right ones that points could save."""
_FEWEST: Final = 3
"""Points that an image must have for a check."""
_LAST_NEEDED: Final = (_FEWEST - 1) * POINT + 2
"""Which of its numbers is above 0 then."""
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
    """`trust`: of what `scorer.fusion.evidence` gives, not negative, shape (EVIDENCE,); `start`: the bias, (1,)."""

    sight: Sight
    trust: Vector
    start: Vector

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
        return replace(self, trust=trust.astype(np.float32), start=(start + np.float32(shift)).astype(np.float32))


def logits(ops: Ops, network: Network, probe: Tensor, candidate: Tensor, overlap: Tensor) -> Tensor:
    """Of score embeddings, (n, dimension) twice, float16 or float32, and overlaps, (n, 1), float32: shape (n, 1). Of
    arrays or of tensors."""
    columns = evidence(ops, *seen(ops, network.sight, probe, candidate, overlap))
    return columns @ ops.shaped(network.trust, 1) + network.start


def seen(ops: Ops, network: Sight, probe: Tensor, candidate: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
    """The sight, (n, 1), and what the check of points says, (n, len(NUMBERS))."""
    first = sight(ops, network, probe, candidate, overlap)
    begin = network.metric.shape[0] + SIGN_NUMBERS
    last = begin + _LAST_NEEDED
    needed, their_needed = (_numbers(ops, each, last, last + 1) for each in (probe, candidate))

    def checked(x: Tensor, y: Tensor) -> Tensor:
        return geometry(ops, *(_numbers(ops, each, begin, begin + POINTS) for each in (x, y)))

    worth_it = (first > _HOPELESS) & (needed * their_needed > 0.5)
    return first, ops.where(worth_it, checked, probe, candidate, len(NUMBERS))


def sight(ops: Ops, network: Sight, probe: Tensor, candidate: Tensor, overlap: Tensor) -> Tensor:
    """Without the points: shape (n, 1)."""
    content = network.metric.shape[0]
    mine, theirs = (_numbers(ops, each, 0, content) for each in (probe, candidate))
    difference = mine - theirs
    hidden = ops.apply("Softplus", (difference * difference) @ network.metric + network.offsets)
    bits, their_bits = (_bits(ops, _numbers(ops, each, content, content + SIGN_NUMBERS)) for each in (probe, candidate))
    # 1 where signs are alike, -1 where not.
    agreed = ops.part(bits * their_bits, 0, SIGNS)
    both_ways = agreed @ (network.sign_weights * (1 - _ONE_WAY))
    one_way = ops.apply("Abs", agreed @ (network.sign_weights * _ONE_WAY))
    rises = ops.apply("Softplus", (both_ways + one_way) @ _SPREAD + network.knots)
    lengths = ops.apply("Sqrt", ops.total(mine * mine, 1)) * ops.apply("Sqrt", ops.total(theirs * theirs, 1))
    cosine = ops.total(mine * theirs, 1) / ops.maximum(lengths, _TINY)
    shared = ops.apply("Log", overlap * _OVERLAP_SCALE + 1.0)
    return ops.join([hidden, rises, cosine, shared]) @ ops.shaped(network.weights, 1) + network.bias


def _numbers(ops: Ops, embeddings: Tensor, start: int, stop: int) -> Tensor:
    """Some of the columns, as float32. Not of all columns at once: most pairs are never asked for their points."""
    return ops.number(ops.part(embeddings, start, stop))


def _bits(ops: Ops, numbers: Tensor) -> Tensor:
    """Of packed signs, 1 or -1: (n, SIGN_NUMBERS * BITS), the last of which are none."""
    return ops.shaped(ops.look(UNPACKED, whole(ops, numbers)), SIGN_NUMBERS * BITS)
