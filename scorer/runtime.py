"""A graph of the scorer in onnxruntime."""

import threading
from collections.abc import Mapping
from math import gcd, prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from neardup.errors import ConfigError
from scorer.wire import Array

__all__ = ["OnnxModel"]

_LANES: Final = 16
"""Batches are filled up to a multiple of so many pairs: in a vector's tail the same pair could get another last bit."""

_BLOCK_BYTES: Final = 640 * 1024
"""Of the inputs that are computed at a time, 270 whole pairs: what lies between the layers is many times as much. With
fewer, what a node of the graph costs by itself (2 us) tells."""

_TYPES: Final[dict[str, "np.dtype[np.floating[Any]]"]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
}
_NOT_FINITE: Final = 0x7C00
"""The exponent of a float16 that is infinite or no number."""

Shapes = dict[str, tuple[int, ...]]


class OnnxModel:
    """Named arrays in, float32 or float16; named arrays out. Thread-safe. In shapes -1 stands for any number: of rows,
    and of candidates a row."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._memory = threading.local()
        self.input_shapes = _shapes(session.get_inputs())
        self.output_shapes = _shapes(session.get_outputs())
        # Those with several candidates a row.
        self._grouped = [name for name, shape in self.input_shapes.items() if len(shape) > 1 and shape[1] < 0]
        self.types = {each.name: _dtype(each) for each in (*session.get_inputs(), *session.get_outputs())}

    @classmethod
    def load(cls, path: Path) -> "OnnxModel":
        """Raises ConfigError naming the file that onnxruntime cannot load."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Arenas keep the memory of the largest batch for ever.
        options.enable_cpu_mem_arena = False
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        # onnxruntime's errors share no base class but this.
        except Exception as exc:
            raise ConfigError(f"{path}: not a model onnxruntime can load: {exc}") from exc
        return cls(session)

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Raises ValueError naming the input that is missing, unknown, of another type or shape, or not finite."""
        for name in arrays.keys() - self.input_shapes.keys():
            raise ValueError(f"input {name} is unknown; the inputs are {', '.join(self.input_shapes)}")
        for name, shape in self.input_shapes.items():
            if name not in arrays:
                raise ValueError(f"input {name} is missing")
            found = arrays[name].shape
            if len(found) != len(shape) or any(want not in {-1, have} for want, have in zip(shape, found, strict=True)):
                raise ValueError(f"input {name} has shape {list(found)}, wanted {list(shape)}")
            if arrays[name].dtype != self.types[name]:
                raise ValueError(f"input {name} is {arrays[name].dtype}, wanted {self.types[name]}")
        count = _only({len(array) for array in arrays.values()}, "rows")
        pairs = _only({arrays[name].shape[1] for name in self._grouped} or {1}, "candidates a row")
        # Rows that make whole lanes of pairs, and blocks of such rows.
        lanes = _LANES // gcd(_LANES, pairs)
        row_bytes = sum(array.itemsize * prod(array.shape[1:]) for array in arrays.values())
        at_once = lanes * max(1, _BLOCK_BYTES // (lanes * max(1, row_bytes)))
        parts = [
            self._block({name: array[start : start + at_once] for name, array in arrays.items()}, at_once, lanes)
            for start in range(0, max(count, 1), at_once)
        ]
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in self.output_shapes}

    def _block(self, arrays: Mapping[str, Array], at_once: int, lanes: int) -> dict[str, Array]:
        feeds = {name: self._filled(name, array, at_once, lanes) for name, array in arrays.items()}
        names = list(self.output_shapes)
        return dict(zip(names, self._session.run(names, feeds), strict=True))

    def _filled(self, name: str, array: Array, at_once: int, lanes: int) -> Array:
        """A copy in this thread's own memory, which is in cache and aligned, filled up with rows of zeros."""
        count = len(array)
        shape = (at_once, *array.shape[1:])
        memory: dict[str, Array] = self._memory.__dict__
        if name not in memory or memory[name].shape != shape:
            memory[name] = np.empty(shape, array.dtype)
        # One lane at least: the graph fails without rows.
        copy = memory[name][: -(-max(count, 1) // lanes) * lanes]
        copy[:count] = array
        copy[count:] = 0
        if not _finite(copy):
            raise ValueError(f"input {name} contains NaN or infinity")
        return copy


def _only(numbers: set[int], what: str) -> int:
    if len(numbers) != 1:
        raise ValueError(f"the inputs have different numbers of {what}: {sorted(numbers)}")
    return numbers.pop()


def _finite(array: Array) -> bool:
    if array.dtype == np.float16:
        # Ten times as fast as numpy, which makes float32 of them first.
        return bool((array.view(np.uint16) & _NOT_FINITE).max(initial=0) != _NOT_FINITE)
    return bool(np.isfinite(array).all())


def _dtype(argument: onnxruntime.NodeArg) -> "np.dtype[np.floating[Any]]":
    """Raises ConfigError when it is neither float32 nor float16."""
    if argument.type not in _TYPES:
        raise ConfigError(f"{argument.name} is a {argument.type}, wanted one of {', '.join(_TYPES)}")
    return _TYPES[argument.type]


def _shapes(arguments: list[onnxruntime.NodeArg]) -> Shapes:
    return {
        argument.name: tuple(length if isinstance(length, int) else -1 for length in argument.shape)
        for argument in arguments
    }
