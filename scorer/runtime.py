"""One version of a scorer model in onnxruntime."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from neardup.errors import ConfigError
from neardup.types import Vector
from scorer.layout import MODEL_FILE

__all__ = ["OnnxModel"]

_LANES: Final = 16
"""Batches are filled up to a multiple of this: in a vector's tail the same pair could get another last bit."""

_BLOCK: Final = 512
"""Rows computed at a time: what lies between the layers stays small, and in the processor's cache."""

Shapes = dict[str, tuple[int, ...]]


class OnnxModel:
    """Named float32 arrays in, named float32 arrays out. Thread-safe. In shapes -1 stands for any number of rows."""

    def __init__(self, session: onnxruntime.InferenceSession, version: int) -> None:
        self._session = session
        self._memory = threading.local()
        self.version = version
        self.input_shapes = _shapes(session.get_inputs())
        self.output_shapes = _shapes(session.get_outputs())

    @classmethod
    def load(cls, model_dir: Path, version: int) -> "OnnxModel":
        """Raises ConfigError naming the file that onnxruntime cannot load."""
        path = model_dir / str(version) / MODEL_FILE
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
        return cls(session, version)

    def run(self, arrays: Mapping[str, Vector]) -> dict[str, Vector]:
        """Raises ValueError naming the input that is missing, unknown, of another shape or not finite."""
        for name in arrays.keys() - self.input_shapes.keys():
            raise ValueError(f"input {name} is unknown; the inputs are {', '.join(self.input_shapes)}")
        rows = {len(array) for array in arrays.values() if array.ndim}
        for name, shape in self.input_shapes.items():
            if name not in arrays:
                raise ValueError(f"input {name} is missing")
            found = arrays[name].shape
            if len(found) != len(shape) or any(want not in {-1, have} for want, have in zip(shape, found, strict=True)):
                raise ValueError(f"input {name} has shape {list(found)}, wanted {list(shape)}")
        if len(rows) != 1:
            raise ValueError(f"the inputs have different numbers of rows: {sorted(rows)}")
        (count,) = rows
        parts = [
            self._block({name: array[start : start + _BLOCK] for name, array in arrays.items()})
            for start in range(0, max(count, 1), _BLOCK)
        ]
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in self.output_shapes}

    def _block(self, arrays: Mapping[str, Vector]) -> dict[str, Vector]:
        feeds = {name: self._filled(name, array) for name, array in arrays.items()}
        names = list(self.output_shapes)
        return dict(zip(names, self._session.run(names, feeds), strict=True))

    def _filled(self, name: str, array: Vector) -> Vector:
        """A copy in this thread's own memory, which is in cache and aligned, filled up with rows of zeros."""
        count = len(array)
        filled = -(-count // _LANES) * _LANES
        memory: dict[str, Vector] = self._memory.__dict__
        if name not in memory:
            memory[name] = np.empty((_BLOCK, *array.shape[1:]), np.float32)
        copy = memory[name][:filled]
        copy[:count] = array
        copy[count:] = 0
        if not np.isfinite(copy).all():
            raise ValueError(f"input {name} contains NaN or infinity")
        return copy


def _shapes(arguments: list[onnxruntime.NodeArg]) -> Shapes:
    return {
        argument.name: tuple(length if isinstance(length, int) else -1 for length in argument.shape)
        for argument in arguments
    }
