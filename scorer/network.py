"""The scorer's model: a learned metric, a cosine and the term overlap, weighed by a logistic function.

    logit = bias + a * cosine + b * overlap - sum_k u_k * softplus(w_k . (p - c)^2 + t_k)

with a, b, u, w not negative: the further two images are apart in any direction, the lower the score, also for images
unlike all of the training (a metric learned from squared differences; Xing et al., NIPS 2002). Trained with Adam
(Kingma & Ba, 2015) in numpy, written as ONNX by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from neardup.errors import ConfigError
from neardup.types import PairBatch, Vector
from scorer.features import OVERLAP_SCALE, cosine, overlap_feature, squared_differences
from scorer.wire import INPUTS, OUTPUT

__all__ = ["Network", "constants_of", "to_onnx"]

_UNITS: Final = 32

_STEPS: Final[tuple[tuple[str, list[str], str], ...]] = (
    ("Sub", ["probe", "candidate"], "difference"),
    ("Mul", ["difference", "difference"], "squared"),
    ("Gemm", ["squared", "metric", "offsets"], "inner"),
    ("Softplus", ["inner"], "hidden"),
    ("Mul", ["probe", "candidate"], "products"),
    ("ReduceSum", ["products", "columns"], "product"),
    ("ReduceL2", ["probe", "columns"], "probe_length"),
    ("ReduceL2", ["candidate", "columns"], "candidate_length"),
    ("Mul", ["probe_length", "candidate_length"], "lengths"),
    ("Max", ["lengths", "tiny"], "positive_lengths"),
    ("Div", ["product", "positive_lengths"], "cosine"),
    ("Mul", ["overlap", "overlap_scale"], "overlap_share"),
    ("Add", ["overlap_share", "one"], "overlap_plus_one"),
    ("Log", ["overlap_plus_one"], "overlap_feature"),
    ("Concat", ["hidden", "cosine", "overlap_feature"], "features"),
    ("Gemm", ["features", "weights", "bias"], "logit"),
    ("Sigmoid", ["logit"], "probability"),
    ("Squeeze", ["probability", "columns"], OUTPUT),
)
"""The ONNX graph: operator, inputs, output."""


@dataclass(slots=True)
class Network:
    """Parameters before the squaring that keeps `metric`, `units` and `views` from being negative."""

    metric: Vector
    offsets: Vector
    units: Vector
    views: Vector
    bias: Vector

    @classmethod
    def initial(cls, dimension: int, seed: int) -> "Network":
        rng = np.random.default_rng(seed)
        return cls(
            metric=rng.uniform(0.3, 1.0, (dimension, _UNITS)).astype(np.float32),
            offsets=rng.uniform(-2, 0, _UNITS).astype(np.float32),
            units=np.full(_UNITS, 0.3, np.float32),
            views=np.array([3.0, 0.5], np.float32),
            bias=np.zeros(1, np.float32),
        )

    def logits(self, batch: PairBatch) -> Vector:
        """Shape (n,)."""
        return self._forward(batch)[0]

    def score(self, batch: PairBatch) -> Vector:
        """Probabilities, shape (n,)."""
        return _sigmoid(self.logits(batch))

    def gradient(self, batch: PairBatch, truth: Vector) -> tuple[float, "Network"]:
        """Mean cross-entropy of a batch and its gradient; `truth` of shape (n,), 1 for near-duplicates."""
        logits, inner, hidden, squared, views = self._forward(batch)
        loss = float((np.logaddexp(0, logits) - truth * logits).mean())
        slope = ((_sigmoid(logits) - truth) / len(truth)).astype(np.float32)
        into_hidden = -slope[:, None] * self.units**2 * _sigmoid(inner)
        return loss, Network(
            metric=2 * self.metric * (squared.T @ into_hidden),
            offsets=into_hidden.sum(axis=0),
            units=-2 * self.units * (slope @ hidden),
            views=2 * self.views * (slope @ views),
            bias=slope.sum(keepdims=True),
        )

    def arrays(self) -> Iterator[Vector]:
        return (getattr(self, field.name) for field in fields(self))

    def _forward(self, batch: PairBatch) -> tuple[Vector, Vector, Vector, Vector, Vector]:
        squared = squared_differences(batch)
        inner = squared @ self.metric**2 + self.offsets
        hidden = np.logaddexp(0, inner).astype(np.float32)
        views = np.stack([cosine(batch), overlap_feature(batch)], axis=1)
        logits = self.bias + views @ self.views**2 - hidden @ self.units**2
        return logits.astype(np.float32), inner, hidden, squared, views


def _sigmoid(values: Vector) -> Vector:
    result: Vector = (0.5 * (1 + np.tanh(0.5 * values))).astype(np.float32)
    return result


def to_onnx(network: Network) -> onnx.ModelProto:
    """Inputs `probe` and `candidate` (n, dimension), `overlap` (n, 1); output `score` (n,), all float32."""
    constants: dict[str, npt.NDArray[np.generic]] = {
        "metric": network.metric**2,
        "offsets": network.offsets,
        "weights": np.concatenate([-(network.units**2), network.views**2])[:, None],
        "bias": network.bias,
        "overlap_scale": np.array(OVERLAP_SCALE * 8, np.float32),
        "one": np.array(1, np.float32),
        "tiny": np.array(1e-12, np.float32),
        "columns": np.array([1], np.int64),
    }
    nodes = [helper.make_node(kind, inputs, [output]) for kind, inputs, output in _STEPS]
    next(node for node in nodes if node.op_type == "Concat").attribute.append(helper.make_attribute("axis", 1))
    dimension = len(network.metric)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in zip(INPUTS, (dimension, dimension, 1), strict=True)
    ]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"])
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "neardup-scorer", inputs, [output], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def constants_of(model: onnx.ModelProto) -> dict[str, npt.NDArray[np.float32]]:
    """The numbers in a model that `to_onnx` wrote, by name: `metric` (dimension, units), `offsets` (units,), `weights`
    (units + 2, 1), `bias` (1,), `overlap_scale` (). Raises ConfigError when it is another kind of model."""
    steps = tuple((node.op_type, list(node.input), *node.output) for node in model.graph.node)
    if steps != _STEPS:
        raise ConfigError("this is not a model that `neardup train scorer` made: its graph is another")
    return {stored.name: numpy_helper.to_array(stored) for stored in model.graph.initializer}
