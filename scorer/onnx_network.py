"""The scorer's model as ONNX graphs, which hold its numbers by their names."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from neardup.errors import ConfigError
from neardup.types import Vector
from scorer.layout import FIRST_SIGHT_FILE, MODEL_FILE
from scorer.network import AFTER_CONTENT, LATER, Network, Sight, first_sight, logits
from scorer.onnx_ops import FLOAT, HALF, Graph, Node
from scorer.ops import Tensor
from scorer.wire import INPUTS, OUTPUT, PROMISING

__all__ = ["first_sight_to_onnx", "network_of", "save_graphs", "to_onnx"]


def save_graphs(network: Network, folder: Path) -> None:
    """Both graphs of a version into its folder."""
    onnx.save(to_onnx(network), folder / MODEL_FILE)
    onnx.save(first_sight_to_onnx(network), folder / FIRST_SIGHT_FILE)


def to_onnx(network: Network) -> onnx.ModelProto:
    """Inputs `probe` (n, dimension + AFTER_CONTENT) and `candidate` (n, k, dimension + AFTER_CONTENT), float16, and
    `overlap` (n, k); output `score` (n, k), both float32."""
    graph = Graph()
    result = graph.node("Sigmoid", logits(graph, *_inputs(graph, network)))
    return _model(graph, len(network.sight.metric) + AFTER_CONTENT, {OUTPUT: result})


def first_sight_to_onnx(network: Network) -> onnx.ModelProto:
    """Inputs as of `to_onnx`, without the `LATER` numbers; outputs `score` and `promising`, (n, k), float32."""
    graph = Graph()
    found, promising = first_sight(graph, *_inputs(graph, network))
    outputs = {OUTPUT: graph.node("Sigmoid", found), PROMISING: promising}
    return _model(graph, len(network.sight.metric) + AFTER_CONTENT - LATER, outputs)


def _inputs(graph: Graph, network: Network) -> tuple[Network, Node, Node, Node]:
    """The network and what it takes, as nodes: pairs in groups, whose probe they share."""
    numbers = {name: graph.constant(name, values) for name, values in _numbers(network).items()}
    probe, candidate, overlap = (graph.input(name) for name in INPUTS)
    shared, shown = graph.node("Unsqueeze", probe, np.array([1])), graph.node("Unsqueeze", overlap, np.array([2]))
    return _of_numbers(numbers), shared, candidate, shown


def _model(graph: Graph, width: int, outputs: Mapping[str, Node]) -> onnx.ModelProto:
    shapes = ((HALF, ("n", width)), (HALF, ("n", "k", width)), (FLOAT, ("n", "k")))
    return graph.model("neardup-scorer", dict(zip(INPUTS, shapes, strict=True)), outputs)


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
    return {**of_sight, "trust": network.trust, "start": network.start, "sure": network.sure}


def _of_numbers(numbers: Mapping[str, Tensor]) -> Network:
    seen_first = Sight(**{each.name: numbers[each.name] for each in fields(Sight)})
    return Network(seen_first, numbers["trust"], numbers["start"], numbers["sure"])
