"""The scorer's model: a learned metric, a cosine, the term overlap and the agreement of signs, weighed by a logistic
function.

    logit = bias + a * cosine + b * overlap - sum_k u_k * softplus(w_k . (p - c)^2 + t_k)
                 + sum_ij g_ij * softplus(s * (agreement_j - knot_ij))

with a, b, u, w, g not negative: the further two images are apart in any direction, and the fewer signs agree, the
lower the score, also for images unlike all of the training (a metric learned from squared differences; Xing et al.,
NIPS 2002). Trained by `scorer.keras_network`, written as ONNX by hand.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from neardup.embedder.signs import MIRRORED, SIGNS
from neardup.errors import ConfigError
from neardup.types import PairBatch, Vector
from scorer.features import OVERLAP_SCALE, agreement, cosine, overlap_feature, squared_differences
from scorer.wire import INPUTS, OUTPUT

__all__ = ["KNOTS", "SHARPNESS", "UNITS", "WEIGHINGS", "Network", "network_of", "to_onnx"]

UNITS: Final = 32
WEIGHINGS: Final = 3
KNOTS: Final = 5
"""Of each weighing of the signs: where the score begins to rise faster."""
SHARPNESS: Final = 12.0

_STEPS: Final[tuple[tuple[str, list[str], str], ...]] = (
    ("Slice", ["probe", "zero", "content_end", "axis"], "probe_content"),
    ("Slice", ["candidate", "zero", "content_end", "axis"], "candidate_content"),
    ("Sub", ["probe_content", "candidate_content"], "difference"),
    ("Mul", ["difference", "difference"], "squared"),
    ("Gemm", ["squared", "metric", "offsets"], "inner"),
    ("Softplus", ["inner"], "hidden"),
    ("Mul", ["probe", "candidate"], "products"),
    ("Gemm", ["products", "both_ways"], "agreed_both_ways"),
    ("Gemm", ["products", "one_way"], "signed"),
    ("Abs", ["signed"], "agreed_one_way"),
    ("Add", ["agreed_both_ways", "agreed_one_way"], "agreement"),
    ("Gemm", ["agreement", "spread", "knots"], "risen"),
    ("Softplus", ["risen"], "rises"),
    ("Gemm", ["products", "content_columns"], "product"),
    ("ReduceL2", ["probe_content", "axis"], "probe_length"),
    ("ReduceL2", ["candidate_content", "axis"], "candidate_length"),
    ("Mul", ["probe_length", "candidate_length"], "lengths"),
    ("Max", ["lengths", "tiny"], "positive_lengths"),
    ("Div", ["product", "positive_lengths"], "cosine"),
    ("Mul", ["overlap", "overlap_scale"], "overlap_share"),
    ("Add", ["overlap_share", "one"], "overlap_plus_one"),
    ("Log", ["overlap_plus_one"], "overlap_feature"),
    ("Concat", ["hidden", "rises", "cosine", "overlap_feature"], "features"),
    ("Gemm", ["features", "weights", "bias"], "logit"),
    ("Sigmoid", ["logit"], "probability"),
    ("Squeeze", ["probability", "axis"], OUTPUT),
)
"""The ONNX graph: operator, inputs, output."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The numbers of the formula. Shapes: `metric` (dimension, UNITS), `offsets` (UNITS,), `sign_weights` (SIGNS,
    WEIGHINGS) of sum 1 in each column, `knots` (WEIGHINGS * KNOTS,) the bias of each rise, weighing by weighing;
    `weights` (UNITS + WEIGHINGS * KNOTS + 2,): of the hidden units (not positive), the rises, cosine and overlap (not
    negative); `bias` (1,)."""

    metric: Vector
    offsets: Vector
    sign_weights: Vector
    knots: Vector
    weights: Vector
    bias: Vector

    def logits(self, batch: PairBatch) -> Vector:
        """Shape (n,)."""
        hidden = np.logaddexp(0, squared_differences(batch) @ self.metric + self.offsets)
        agreed = np.repeat(agreement(batch, self.sign_weights), KNOTS, axis=1)
        rises = np.logaddexp(0, np.float32(SHARPNESS) * agreed + self.knots)
        features = np.concatenate([hidden, rises, cosine(batch)[:, None], overlap_feature(batch)[:, None]], axis=1)
        logits: Vector = (features @ self.weights + self.bias).astype(np.float32)
        return logits

    def score(self, batch: PairBatch) -> Vector:
        """Probabilities, shape (n,)."""
        result: Vector = (0.5 * (1 + np.tanh(0.5 * self.logits(batch)))).astype(np.float32)
        return result

    def rescaled(self, slope: float, shift: float) -> Self:
        """The network whose logits are slope * logit + shift."""
        return replace(
            self,
            weights=(self.weights * np.float32(slope)).astype(np.float32),
            bias=(self.bias * np.float32(slope) + np.float32(shift)).astype(np.float32),
        )


def to_onnx(network: Network) -> onnx.ModelProto:
    """Inputs `probe` and `candidate` (n, dimension + SIGNS), `overlap` (n, 1); output `score` (n,), all float32."""
    content = len(network.metric)
    of_signs = np.concatenate([np.zeros((content, WEIGHINGS), np.float32), network.sign_weights])
    mirrored = np.concatenate([np.zeros(content, np.bool_), MIRRORED])[:, None]
    constants: dict[str, npt.NDArray[np.generic]] = {
        "metric": network.metric,
        "offsets": network.offsets,
        "both_ways": np.where(mirrored, np.float32(0), of_signs),
        "one_way": np.where(mirrored, of_signs, np.float32(0)),
        "spread": np.repeat(np.eye(WEIGHINGS, dtype=np.float32) * np.float32(SHARPNESS), KNOTS, axis=1),
        "knots": network.knots,
        "content_columns": (np.arange(content + SIGNS) < content).astype(np.float32)[:, None],
        "weights": network.weights[:, None],
        "bias": network.bias,
        "overlap_scale": np.array(OVERLAP_SCALE * 8, np.float32),
        "one": np.array(1, np.float32),
        "tiny": np.array(1e-12, np.float32),
        "axis": np.array([1], np.int64),
        "zero": np.array([0], np.int64),
        "content_end": np.array([content], np.int64),
    }
    nodes = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in _STEPS]
    next(node for node in nodes if node.op_type == "Concat").attribute.append(helper.make_attribute("axis", 1))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in zip(INPUTS, (content + SIGNS, content + SIGNS, 1), strict=True)
    ]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"])
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "neardup-scorer", inputs, [output], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def network_of(model: onnx.ModelProto) -> Network:
    """The network in a model that `to_onnx` wrote. Raises ConfigError when it is another kind of model."""
    steps = tuple((node.op_type, list(node.input), *node.output) for node in model.graph.node)
    if steps != _STEPS:
        raise ConfigError("this is not a model that `neardup train scorer` made: its graph is another")
    numbers = {stored.name: numpy_helper.to_array(stored) for stored in model.graph.initializer}
    content = len(numbers["metric"])
    return Network(
        metric=numbers["metric"],
        offsets=numbers["offsets"],
        sign_weights=(numbers["both_ways"] + numbers["one_way"])[content:],
        knots=numbers["knots"],
        weights=numbers["weights"][:, 0],
        bias=numbers["bias"],
    )
