"""The scorer's formula as an ONNX graph: every operation writes a node."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from neardup.types import Vector
from scorer.ops import Tensor

__all__ = ["FLOAT", "HALF", "Graph", "Node"]

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


class Node:
    """A tensor of the graph that is being written. Of constants the shape is known."""

    def __init__(self, graph: "Graph", name: str, shape: tuple[int, ...] = ()) -> None:
        self._graph = graph
        self.name = name
        self.shape = shape

    def __add__(self, other: Tensor) -> "Node":
        return self._graph.node("Add", self, other)

    def __sub__(self, other: Tensor) -> "Node":
        return self._graph.node("Sub", self, other)

    def __mul__(self, other: Tensor) -> "Node":
        return self._graph.node("Mul", self, other)

    def __truediv__(self, other: Tensor) -> "Node":
        return self._graph.node("Div", self, other)

    def __matmul__(self, other: Tensor) -> "Node":
        return self._graph.node("MatMul", self, other)

    def __lt__(self, other: Tensor) -> "Node":
        return self._graph.node("Less", self, other)

    def __gt__(self, other: Tensor) -> "Node":
        return self._graph.node("Greater", self, other)

    def __and__(self, other: Tensor) -> "Node":
        return self._graph.node("And", self, other)


class Graph:
    """What was written so far; `Ops` for the formula."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, npt.NDArray[np.generic]] = {}
        self._unnamed: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def node(self, kind: str, *inputs: Tensor, **attributes: Any) -> Node:
        (result,) = self._write(kind, inputs, 1, attributes)
        return result

    def constant(self, name: str, values: npt.NDArray[np.float32]) -> Node:
        """Numbers that can be found again by their name."""
        self._constants[name] = values
        return Node(self, name, values.shape)

    def input(self, name: str) -> Node:
        return Node(self, name)

    def model(
        self, name: str, inputs: Mapping[str, tuple[int, Sequence[int | str]]], outputs: Mapping[str, Node]
    ) -> onnx.ModelProto:
        """`inputs`: their types and shapes; the outputs, (…, 1), come in the shape of the last of them."""
        *_, (last, (_, shape)) = inputs.items()
        lengths = self.node("Shape", self.input(last))
        for output, result in outputs.items():
            self._nodes.append(helper.make_node("Reshape", [result.name, lengths.name], [output]))
        values = [helper.make_tensor_value_info(key, *each) for key, each in inputs.items()]
        out = [helper.make_tensor_value_info(output, FLOAT, shape) for output in outputs]
        stored = [numpy_helper.from_array(value, key) for key, value in self._constants.items()]
        graph = helper.make_graph(self._nodes, name, values, out, stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        return model

    def apply(self, function: str, x: Tensor) -> Tensor:
        if function == "Softplus":
            # onnxruntime computes Softplus one number at a time, which takes four times as long as all of this.
            below = self.node("Log", self.node("Sigmoid", self.node("Abs", x)))
            return self.node("Relu", x) - below
        return self.node(function, x)

    def equal(self, x: Tensor, y: Tensor) -> Tensor:
        return self.node("Equal", x, y)

    def maximum(self, x: Tensor, y: Tensor | float) -> Tensor:
        return self.node("Max", x, y)

    def minimum(self, x: Tensor, y: Tensor | float) -> Tensor:
        return self.node("Min", x, y)

    def clip(self, x: Tensor, low: float, high: float) -> Tensor:
        return self.node("Clip", x, np.float32(low), np.float32(high))

    def number(self, x: Tensor) -> Tensor:
        return self.node("Cast", x, to=FLOAT)

    def total(self, x: Tensor, axis: int) -> Tensor:
        return self.node("ReduceSum", x, _whole(axis))

    def most(self, x: Tensor, axis: int) -> Tensor:
        return self.node("ReduceMax", x, _whole(axis))

    def across(self, x: Tensor) -> Tensor:
        return self.node("Transpose", x, perm=[0, 2, 1])

    def shaped(self, x: Tensor, *lengths: int) -> Tensor:
        return self.node("Reshape", x, _whole(-1, *lengths))

    def merged(self, x: Tensor) -> Tensor:
        return self.node("Reshape", x, self.node("Concat", self._lengths(x, 2), _whole(-1), axis=0))

    def look(self, table: Vector, places: Tensor) -> Tensor:
        return self.node("Gather", table, self.node("Cast", places, to=TensorProto.INT32), axis=0)

    def pick(self, x: Tensor, places: Tensor) -> Tensor:
        return self.node("GatherElements", x, self.node("Cast", places, to=TensorProto.INT32), axis=1)

    def either(self, which: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return self.node("Where", which, x, y)

    def split(self, x: Tensor, widths: Sequence[int]) -> Sequence[Tensor]:
        return self._write("Split", (x, _whole(*widths)), len(widths), {"axis": -1})

    def part(self, x: Tensor, start: int, stop: int) -> Tensor:
        return self.node("Slice", x, _whole(start), _whole(stop), _whole(-1))

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        return self.node("Concat", *parts, axis=-1)

    def best(self, x: Tensor, keys: Tensor, count: int) -> Tensor:
        _, order = self._write("TopK", (keys, _whole(count)), 2, {"axis": 1})
        # GatherElements wants the place for every row.
        rows = self.node("Slice", self.node("Shape", x), _whole(1), _whole(2))
        lengths = self.node("Concat", _whole(1), rows, _whole(1), axis=0)
        order = self.node("Expand", self.node("Unsqueeze", order, _whole(1)), lengths)
        return self.node("GatherElements", x, order, axis=2)

    def where(self, which: Tensor, function: Callable[..., Tensor], tables: Sequence[Tensor], width: int) -> Tensor:
        chosen = self.node("Transpose", self.node("NonZero", self.node("Squeeze", which, _whole(-1))), perm=[1, 0])
        rows = (self.node("GatherND", table, self._among(chosen, table)) for table in tables)
        shape = self.node("Concat", self._lengths(which, 1), _whole(width), axis=0)
        return self.node("ScatterND", self.node("Expand", np.float32(0), shape), chosen, function(*rows))

    def _among(self, chosen: Tensor, table: Tensor) -> Tensor:
        """The places of rows in a table: where a group has one row, the first."""
        return self.node("Min", chosen, self.node("Sub", self._lengths(table, 1), _whole(1)))

    def _lengths(self, x: Tensor, but: int) -> Tensor:
        """Of its axes but the last so many."""
        return self.node("Shape", x, end=-but)

    def _write(self, kind: str, inputs: Sequence[Tensor], outputs: int, attributes: dict[str, Any]) -> list[Node]:
        names = [f"v{self._count + number}" for number in range(outputs)]
        self._count += outputs
        self._nodes.append(helper.make_node(kind, [self._name(each) for each in inputs], names, **attributes))
        return [Node(self, name) for name in names]

    def _name(self, value: Tensor) -> str:
        if isinstance(value, Node):
            return value.name
        array = np.asarray(value)
        array = array if array.dtype == np.int64 else array.astype(np.float32)
        # Equal ones are written once.
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._unnamed:
            self._unnamed[key] = f"c{len(self._unnamed)}"
            self._constants[self._unnamed[key]] = array
        return self._unnamed[key]


def _whole(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)
