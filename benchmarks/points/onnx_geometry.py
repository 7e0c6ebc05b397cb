"""The check of geometry as an ONNX graph, by the same formula: a scorer of the product can hold it."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.points.geometry import NUMBERS, geometry
from benchmarks.points.ops import Tensor
from benchmarks.points.packing import POINTS

__all__ = ["to_onnx"]

_INPUTS: Final = ("probe", "candidate")
_OUTPUT: Final = "numbers"


def to_onnx() -> onnx.ModelProto:
    """Inputs `probe` and `candidate` (n, POINTS), output `numbers` (n, len(NUMBERS)), all float32."""
    graph = _Graph()
    result = geometry(graph, *(_Node(graph, name) for name in _INPUTS))
    graph.nodes.append(helper.make_node("Identity", [result.name], [_OUTPUT]))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", POINTS]) for name in _INPUTS]
    output = helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["n", len(NUMBERS)])
    stored = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    whole = helper.make_graph(graph.nodes, "geometry", inputs, [output], stored)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


class _Node:
    """A tensor of the graph that is being written: every operation on it writes a node."""

    def __init__(self, graph: "_Graph", name: str) -> None:
        self._graph = graph
        self.name = name

    def __add__(self, other: Tensor) -> "_Node":
        return self._graph.node("Add", self, other)

    def __sub__(self, other: Tensor) -> "_Node":
        return self._graph.node("Sub", self, other)

    def __mul__(self, other: Tensor) -> "_Node":
        return self._graph.node("Mul", self, other)

    def __truediv__(self, other: Tensor) -> "_Node":
        return self._graph.node("Div", self, other)

    def __matmul__(self, other: Tensor) -> "_Node":
        return self._graph.node("MatMul", self, other)

    def __lt__(self, other: Tensor) -> "_Node":
        return self._graph.node("Less", self, other)

    def __gt__(self, other: Tensor) -> "_Node":
        return self._graph.node("Greater", self, other)

    def __and__(self, other: Tensor) -> "_Node":
        return self._graph.node("And", self, other)


class _Graph:
    """What was written so far; and `Ops` for the formula."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[np.generic]] = {}
        self._count = 0

    def node(self, kind: str, *inputs: Tensor, **attributes: Any) -> _Node:
        (result,) = self._nodes(kind, inputs, 1, attributes)
        return result

    def apply(self, function: str, x: Tensor) -> Tensor:
        return self.node(function, x)

    def equal(self, x: Tensor, y: Tensor) -> Tensor:
        return self.node("Equal", x, y)

    def maximum(self, x: Tensor, y: Tensor | float) -> Tensor:
        return self.node("Max", x, y)

    def number(self, x: Tensor) -> Tensor:
        return self.node("Cast", x, to=TensorProto.FLOAT)

    def total(self, x: Tensor, axis: int) -> Tensor:
        return self.node("ReduceSum", x, _whole(axis))

    def most(self, x: Tensor, axis: int) -> Tensor:
        return self.node("ReduceMax", x, _whole(axis))

    def across(self, x: Tensor) -> Tensor:
        return self.node("Transpose", x, perm=[0, 2, 1])

    def rows(self, x: Tensor, count: int, width: int) -> Tensor:
        return self.node("Reshape", x, _whole(-1, count, width))

    def split(self, x: Tensor, widths: Sequence[int]) -> Sequence[Tensor]:
        return self._nodes("Split", (x, _whole(*widths)), len(widths), {"axis": 2})

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        return self.node("Concat", *parts, axis=2)

    def best(self, x: Tensor, keys: Tensor, count: int) -> Tensor:
        _, order = self._nodes("TopK", (keys, _whole(count)), 2, {"axis": 1})
        # GatherElements wants the place for every column.
        width = self.node("Slice", self.node("Shape", x), _whole(2), _whole(3))
        ones = self.node("Concat", _whole(1, 1), width, axis=0)
        return self.node("GatherElements", x, self.node("Expand", order, ones), axis=1)

    def flat(self, x: Tensor) -> Tensor:
        return self.node("Squeeze", x, _whole(1))

    def _nodes(self, kind: str, inputs: Sequence[Tensor], outputs: int, attributes: dict[str, Any]) -> list[_Node]:
        names = [f"v{self._count + number}" for number in range(outputs)]
        self._count += outputs
        self.nodes.append(helper.make_node(kind, [self._name(each) for each in inputs], names, **attributes))
        return [_Node(self, name) for name in names]

    def _name(self, value: Tensor) -> str:
        if isinstance(value, _Node):
            return value.name
        array = np.asarray(value)
        constant = array if array.dtype == np.int64 else array.astype(np.float32)
        name = f"c{len(self.constants)}"
        self.constants[name] = constant
        return name


def _whole(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)
