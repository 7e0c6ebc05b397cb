"""EfficientNet-Lite0 (Tan & Le, 2019; the Lite variant, 2020) as an ONNX graph with pooled outputs.

The graph is written once into the cache directory, named after its own content's recipe, and renamed into place, so
any number of processes may start at once. Batch normalisation is folded into the convolutions.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from neardup.embedder.checkpoint import SHA256, Weights, read_checkpoint, wheel_checkpoint
from neardup.errors import ConfigError

__all__ = ["GRAPH_VERSION", "MIDDLE", "OUTPUTS", "SIDE", "TOP", "ensure_graph"]

SIDE: Final = 224
MIDDLE: Final = 112
TOP: Final = 1280
OUTPUTS: Final = ("middle", "top")
GRAPH_VERSION: Final = "lite0.1"

_EPSILON: Final = 1e-3
# Repeats and stride of each stage; widths and kernels are in the shapes of the weights.
_STAGES: Final = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
_MIDDLE_BLOCK: Final = 10
_POWER: Final = 3.0


def ensure_graph(cache: Path) -> Path:
    """The ONNX file in `cache`, written first if it is not there. Raises ConfigError when it cannot be written."""
    path = cache / f"{GRAPH_VERSION}-{SHA256[:16]}.onnx"
    if path.is_file():
        return path
    graph = build_graph(read_checkpoint(wheel_checkpoint())).SerializeToString()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=cache, prefix=".lite0-", suffix=".onnx")
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(graph)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as exc:
        raise ConfigError(f"cache directory {cache}: {exc.strerror}") from exc
    return path


def build_graph(weights: Weights) -> onnx.ModelProto:
    """Weights -> model: `image` (n, 3, 224, 224) in [-1, 1] -> `middle` (n, 112) and `top` (n, 1280), both generalised
    means (GeM, Radenović et al., 2018) over the picture."""
    return _Writer(weights).model()


class _Writer:
    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        self.constant("zero", np.float32(0))
        self.constant("six", np.float32(6))
        self.constant("tiny", np.float32(1e-6))
        self.constant("power", np.float32(_POWER))
        self.constant("root", np.float32(1 / _POWER))
        self.constant("axes", np.array([2, 3], dtype=np.int64))
        current = self.conv("image", "_conv_stem", "_bn0", stride=2, group=1, relu=True)
        for block, (stride, repeated) in enumerate(_blocks()):
            current = self.block(current, block, stride, residual=repeated)
            if block == _MIDDLE_BLOCK:
                self.pool(current, "middle")
        self.pool(self.conv(current, "_conv_head", "_bn1", stride=1, group=1, relu=True), "top")
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
        widths = dict(zip(OUTPUTS, (MIDDLE, TOP), strict=True))
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", widths[name]]) for name in OUTPUTS]
        graph = helper.make_graph(self.nodes, "efficientnet-lite0", [image], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        return model

    def block(self, source: str, index: int, stride: int, *, residual: bool) -> str:
        prefix = f"_blocks.{index}."
        current = source
        if f"{prefix}_expand_conv.weight" in self.weights:
            current = self.conv(current, f"{prefix}_expand_conv", f"{prefix}_bn0", stride=1, group=1, relu=True)
        depth = len(self.weights[f"{prefix}_depthwise_conv.weight"])
        current = self.conv(current, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, group=depth, relu=True)
        current = self.conv(current, f"{prefix}_project_conv", f"{prefix}_bn2", stride=1, group=1, relu=False)
        return self.node("Add", [current, source], f"{prefix}sum") if residual else current

    def conv(self, source: str, name: str, norm: str, *, stride: int, group: int, relu: bool) -> str:
        kernel, bias = _folded(self.weights, name, norm)
        self.constant(f"{name}.kernel", kernel)
        self.constant(f"{name}.bias", bias)
        inputs = [source, f"{name}.kernel", f"{name}.bias"]
        output = self.node("Conv", inputs, name, auto_pad="SAME_UPPER", strides=[stride, stride], group=group)
        return self.node("Clip", [output, "zero", "six"], f"{name}.relu6") if relu else output

    def pool(self, source: str, name: str) -> None:
        positive = self.node("Max", [source, "tiny"], f"{name}.positive")
        powers = self.node("Pow", [positive, "power"], f"{name}.powers")
        mean = self.node("ReduceMean", [powers, "axes"], f"{name}.mean", keepdims=0)
        self.node("Pow", [mean, "root"], name)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[np.generic] | np.float32) -> None:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))


def _blocks() -> Iterator[tuple[int, bool]]:
    """Stride and whether the input is added, of each block."""
    for repeats, stride in _STAGES:
        yield stride, False
        yield from ((1, True) for _ in range(repeats - 1))


def _folded(weights: Weights, name: str, norm: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = weights[f"{name}.weight"] * scale[:, None, None, None]
    return kernel.astype(np.float32), bias.astype(np.float32)
