"""PredictRequest to and from bytes. Every array is copied once when it is written, and not at all when it is read.

protobuf would copy the content of a tensor four times on this way, into fresh memory each time, which costs more than
scoring the pairs. So protobuf sees everything but the contents; what it would do with them is done here, and
tests/unit/scorer/test_tensors.py holds both to the same bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from scorer import wire

__all__ = ["PredictCall", "decode_request", "encode_request"]

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5

# PredictRequest.inputs is a map: a repeated message with the fields key and value.
_INPUTS: Final = 2
_KEY: Final = 1
_VALUE: Final = 2
_TENSOR_CONTENT: Final = 4


@dataclass(frozen=True, slots=True)
class PredictCall:
    """A request as it came: `message` is the PredictRequest without its inputs, `inputs` are read-only views."""

    message: Any
    inputs: dict[str, wire.Array]


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message: where it starts, where its value starts, where both end."""

    number: int
    kind: int
    start: int
    value: int
    stop: int


def encode_request(spec: Any, arrays: Mapping[str, wire.Array]) -> bytes:
    """The bytes of a PredictRequest. `spec`: its ModelSpec; the names and order of `arrays` are those of its inputs."""
    message = wire.PREDICT.request()
    message.model_spec.CopyFrom(spec)
    parts: list[bytes | memoryview] = [message.SerializeToString()]
    for name, array in arrays.items():
        contiguous = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        key = name.encode()
        described = wire.described(contiguous.shape, contiguous.dtype).SerializeToString()
        tensor = described + _head(_TENSOR_CONTENT, contiguous.nbytes)
        length = len(tensor) + contiguous.nbytes
        entry = _head(_KEY, len(key)) + key + _head(_VALUE, length) + tensor
        parts += [_head(_INPUTS, len(entry) + contiguous.nbytes), entry, contiguous.reshape(-1).view(np.uint8).data]
    return b"".join(parts)


def decode_request(data: bytes) -> PredictCall:
    """Raises ValueError saying what is wrong, with the name of the input if it is one."""
    rest: list[bytes] = []
    inputs: dict[str, wire.Array] = {}
    for field in _fields(data, 0, len(data)):
        if field.number == _INPUTS and field.kind == _BYTES:
            name, array = _input(data, field)
            inputs[name] = array
        else:
            rest.append(data[field.start : field.stop])
    return PredictCall(_parsed(wire.PREDICT.request, rest), inputs)


def _input(data: bytes, entry: _Field) -> tuple[str, wire.Array]:
    name = ""
    rest: list[bytes] = []
    content = memoryview(b"")
    for field in _fields(data, entry.value, entry.stop):
        if field.number == _KEY and field.kind == _BYTES:
            name = data[field.value : field.stop].decode()
        elif field.number == _VALUE and field.kind == _BYTES:
            for part in _fields(data, field.value, field.stop):
                if part.number == _TENSOR_CONTENT and part.kind == _BYTES:
                    content = memoryview(data)[part.value : part.stop]
                else:
                    rest.append(data[part.start : part.stop])
    tensor = _parsed(wire.message_class("tensorflow.TensorProto"), rest)
    try:
        return name, wire.array_of(tensor, content)
    except ValueError as exc:
        raise ValueError(f"input {name} {exc}") from exc


def _parsed(kind: type[Any], parts: list[bytes]) -> Any:
    try:
        return kind.FromString(b"".join(parts))
    except Exception as exc:  # protobuf's DecodeError differs between its implementations.
        raise ValueError(f"not a {kind.DESCRIPTOR.name}: {exc}") from exc


def _fields(data: bytes, start: int, stop: int) -> Iterator[_Field]:
    """The fields of the message in `data[start:stop]`. Raises ValueError when it is none."""
    while start < stop:
        tag, value = _varint(data, start, stop)
        kind = tag & 7
        if kind == _BYTES:
            length, value = _varint(data, value, stop)
            end = value + length
        elif kind == _VARINT:
            _, end = _varint(data, value, stop)
        elif kind in {_FIXED64, _FIXED32}:
            end = value + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError("not a PredictRequest: a field of an unknown kind")
        if end > stop:
            raise ValueError("not a PredictRequest: it is cut off")
        yield _Field(tag >> 3, kind, start, value, end)
        start = end


def _varint(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """A number and where it ends: seven bits a byte, the lowest first."""
    number = shift = 0
    for place in range(start, min(stop, start + 10)):
        number |= (data[place] & 127) << shift
        if data[place] < 128:
            return number, place + 1
        shift += 7
    raise ValueError("not a PredictRequest: it is cut off")


def _head(number: int, length: int) -> bytes:
    """What precedes the bytes of a field of that number and length."""
    head = bytearray([number << 3 | _BYTES])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head)
