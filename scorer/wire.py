"""The messages of TensorFlow Serving and arrays in them, without TensorFlow.

The descriptions of the messages come from `tensorflow_serving.pb` (made by `scorer.wire_build`) and live in a private
descriptor pool, so they never collide with the official packages in the same process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

__all__ = [
    "CHANNEL_OPTIONS",
    "FIRST_SIGHT",
    "HEALTH",
    "INPUTS",
    "METADATA",
    "OUTPUT",
    "OUTPUTS",
    "OVERLAP",
    "PREDICT",
    "PROMISING",
    "SIGNATURE",
    "STATUS",
    "Array",
    "Method",
    "array_of",
    "described",
    "dtype_of",
    "message_class",
    "tensor_of",
    "type_number",
]

Array = npt.NDArray[np.floating[Any]]

INPUTS: Final = ("probe", "candidate", "overlap")
OVERLAP: Final = INPUTS[2]
OUTPUT: Final = "score"
SIGNATURE: Final = "serving_default"
FIRST_SIGHT: Final = "first_sight"
"""Another signature, which a model may have: takes score embeddings without what only the check looks at, gives the
score of an unchecked pair, and in `PROMISING` 1 for pairs that `SIGNATURE` would check, else 0."""
PROMISING: Final = "promising"
OUTPUTS: Final = {SIGNATURE: (OUTPUT,), FIRST_SIGHT: (OUTPUT, PROMISING)}
"""What each signature gives."""

_FLOAT: Final = 1
_HALF: Final = 19
_TYPES: Final[dict[int, "np.dtype[np.floating[Any]]"]] = {_FLOAT: np.dtype("<f4"), _HALF: np.dtype("<f2")}
_MEBIBYTE: Final = 1024 * 1024
_MOST_REPEATED: Final = 64 * _MEBIBYTE

CHANNEL_OPTIONS: Final = (
    ("grpc.max_send_message_length", 256 * _MEBIBYTE),
    ("grpc.max_receive_message_length", 256 * _MEBIBYTE),
)
"""For both sides: a batch of 16,384 pairs is far above gRPC's 4 MiB."""


def _load_pool() -> DescriptorPool:
    pool = DescriptorPool()
    described = FileDescriptorSet.FromString(files("scorer").joinpath("tensorflow_serving.pb").read_bytes())
    for file in described.file:
        pool.Add(file)
    return pool


_POOL: Final = _load_pool()


def message_class(name: str) -> type[Any]:
    """The class of a message by its full name. The fields are those of the official .proto files."""
    kind: type[Any] = GetMessageClass(_POOL.FindMessageTypeByName(name))
    return kind


@dataclass(frozen=True, slots=True)
class Method:
    """One remote procedure: its service, its name and its two messages."""

    service: str
    name: str
    request: type[Any]
    response: type[Any]

    @property
    def path(self) -> str:
        return f"/{self.service}/{self.name}"

    @property
    def encode_request(self) -> Callable[[Message], bytes]:
        encode: Callable[[Message], bytes] = self.request.SerializeToString
        return encode

    @property
    def decode_response(self) -> Callable[[bytes], Any]:
        decode: Callable[[bytes], Any] = self.response.FromString
        return decode


def _method(package: str, service: str, name: str, messages: str) -> Method:
    request, response = (message_class(f"{package}.{messages}{end}") for end in ("Request", "Response"))
    return Method(f"{package}.{service}", name, request, response)


PREDICT: Final = _method("tensorflow.serving", "PredictionService", "Predict", "Predict")
METADATA: Final = _method("tensorflow.serving", "PredictionService", "GetModelMetadata", "GetModelMetadata")
STATUS: Final = _method("tensorflow.serving", "ModelService", "GetModelStatus", "GetModelStatus")
HEALTH: Final = _method("grpc.health.v1", "Health", "Check", "HealthCheck")


def type_number(dtype: npt.DTypeLike) -> int:
    """Of float32 or float16, the DataType."""
    return next(number for number, each in _TYPES.items() if each == dtype)


def dtype_of(number: int) -> "np.dtype[np.floating[Any]]":
    """Of a DataType. Raises ValueError when it is neither float32 nor float16."""
    if number not in _TYPES:
        raise ValueError(f"has dtype {number}, neither DT_FLOAT ({_FLOAT}) nor DT_HALF ({_HALF})")
    return _TYPES[number]


def described(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    """A TensorProto of that shape and type, float32 or float16, without content."""
    tensor = message_class("tensorflow.TensorProto")(dtype=type_number(dtype))
    for length in shape:
        tensor.tensor_shape.dim.add(size=length)
    return tensor


def tensor_of(array: Array, tensor: Any) -> None:
    """Write an array into a TensorProto, as `tensor_content`: filling `float_val` is a hundred times slower."""
    tensor.CopyFrom(described(array.shape, array.dtype))
    tensor.tensor_content = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def array_of(tensor: Any, content: memoryview | None = None) -> Array:
    """The array of a TensorProto, float32 or float16, read-only. Raises ValueError saying what is wrong.

    `content`: its content when that was left out of the message. `float_val` is understood as well, in which TensorFlow
    Serving answers, and `half_val`.
    """
    kind = dtype_of(tensor.dtype)
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if min(shape, default=0) < 0:
        raise ValueError(f"has a negative length in its shape {shape}")
    held = tensor.tensor_content if content is None else content
    if held:
        if len(held) % kind.itemsize:
            raise ValueError(f"has {len(held)} bytes of content, not a multiple of {kind.itemsize}")
        values = np.frombuffer(held, dtype=kind)
    elif tensor.dtype == _HALF:
        values = np.array(list(tensor.half_val), dtype=np.uint32).astype("<u2").view(kind)
    else:
        values = np.array(tensor.float_val, dtype=kind)
    count = prod(shape)
    if len(values) == 1 < count <= _MOST_REPEATED:
        # One value stands for all: the official clients shorten constant tensors so.
        values = np.repeat(values, count)
    if len(values) != count:
        raise ValueError(f"has {len(values)} values for the shape {shape}")
    return values.reshape(shape)
