"""The scorer's model as an ONNX graph, which holds its numbers by their names."""

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import onnx
from onnx import numpy_helper

from neardup.errors import ConfigError
from neardup.types import Vector
from scorer.network import AFTER_CONTENT, Network, Sight, logits
from scorer.onnx_ops import FLOAT, HALF, Graph
from scorer.ops import Tensor
from scorer.wire import INPUTS, OUTPUT

__all__ = ["network_of", "to_onnx"]


def to_onnx(network: Network) -> onnx.ModelProto:
    """Inputs `probe` (n, dimension + AFTER_CONTENT) and `candidate` (n, k, dimension + AFTER_CONTENT), float16, and
    `overlap` (n, k); output `score` (n, k), both float32."""
    graph = Graph()
    width = len(network.sight.metric) + AFTER_CONTENT
    numbers = {name: graph.constant(name, values) for name, values in _numbers(network).items()}
    probe, candidate, overlap = (graph.input(name) for name in INPUTS)
    # Pairs in groups, whose probe they share.
    shared, shown = graph.node("Unsqueeze", probe, np.array([1])), graph.node("Unsqueeze", overlap, np.array([2]))
    result = graph.node("Sigmoid", logits(graph, _of_numbers(numbers), shared, candidate, shown))
    shapes = ((HALF, ("n", width)), (HALF, ("n", "k", width)), (FLOAT, ("n", "k")))
    return graph.model("neardup-scorer", dict(zip(INPUTS, shapes, strict=True)), result, OUTPUT)


def network_of(model: onnx.ModelProto) -> Network:
    """The network in a model that `to_onnx` wrote. Raises ConfigError when it is another kind of model."""
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    try:
        network = _of_numbers(stored)
        same = to_onnx(network).graph.node == model.graph.node
    except (KeyError, IndexError, ValueError):
        same = False
    if not same:
        raise ConfigError("this is not a model that `neardup train scorer` made: its graph is another")
    return network


def _numbers(network: Network) -> dict[str, Vector]:
    of_sight = {each.name: getattr(network.sight, each.name) for each in fields(Sight)}
    return {**of_sight, "trust": network.trust, "start": network.start}


def _of_numbers(numbers: Mapping[str, Tensor]) -> Network:
    seen_first = Sight(**{each.name: numbers[each.name] for each in fields(Sight)})
    return Network(seen_first, numbers["trust"], numbers["start"])
