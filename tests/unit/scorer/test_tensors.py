"""Requests with their arrays, held to what protobuf makes of the same bytes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from scorer import wire
from scorer.tensors import decode_request, encode_request

GOLDEN = Path(__file__).parents[2] / "data" / "wire" / "predict_request.bin"

Array = wire.Array
tensors = arrays.arrays(
    st.sampled_from([np.float32, np.float16]), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
)
inputs = st.dictionaries(st.text(max_size=200), tensors, max_size=4)


def spec(**fields: Any) -> Any:
    return wire.message_class("tensorflow.serving.ModelSpec")(**fields)


def by_protobuf(sent: dict[str, Array]) -> Any:
    request = wire.PREDICT.request(model_spec=spec(name="neardup", signature_name="serving_default"))
    for name, array in sent.items():
        wire.tensor_of(array, request.inputs[name])
    return request


def same(found: dict[str, Array], wanted: dict[str, Array]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(found[name], array)


@given(inputs)
def test_protobuf_reads_what_is_written(sent: dict[str, Array]) -> None:
    written = encode_request(spec(name="neardup", signature_name="serving_default"), sent)
    assert wire.PREDICT.request.FromString(written) == by_protobuf(sent)


@given(inputs)
def test_what_protobuf_writes_is_read(sent: dict[str, Array]) -> None:
    call = decode_request(by_protobuf(sent).SerializeToString())
    same(call.inputs, sent)
    assert call.message == by_protobuf({})


@given(inputs, st.integers(0, 2**62))
def test_what_is_written_is_read(sent: dict[str, Array], version: int) -> None:
    message = spec(name="neardup")
    message.version.value = version
    call = decode_request(encode_request(message, sent))
    same(call.inputs, sent)
    assert call.message.model_spec == message


def test_the_official_bytes() -> None:
    call = decode_request(GOLDEN.read_bytes())
    assert call.message.model_spec.name == "neardup"
    probe = (np.arange(6).reshape(2, 3) / 8).astype(np.float32)
    same(
        call.inputs,
        {"probe": probe, "candidate": probe + np.float32(1), "overlap": np.array([[3], [64]], np.float32)},
    )


def test_arrays_are_views_of_the_request() -> None:
    data = encode_request(spec(), {"probe": np.ones((100, 352), np.float32)})
    (view,) = decode_request(data).inputs.values()
    assert np.shares_memory(view, np.frombuffer(data, np.uint8))


def test_parts_of_larger_arrays_are_written() -> None:
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    sent = {"rows": whole[1:3], "columns": whole[:, ::2], "turned": whole.T}
    same(decode_request(encode_request(spec(), sent)).inputs, sent)


def test_the_other_encoding_of_values_is_read() -> None:
    request = wire.PREDICT.request()
    request.inputs["probe"].dtype = 1
    request.inputs["probe"].float_val.extend([1, 2])
    request.inputs["probe"].tensor_shape.dim.add(size=2)
    request.inputs["candidate"].dtype = 19
    request.inputs["candidate"].half_val.extend([0x3C00, 0xC000])
    request.inputs["candidate"].tensor_shape.dim.add(size=2)
    wanted: dict[str, Array] = {"probe": np.array([1, 2], np.float32), "candidate": np.array([1, -2], np.float16)}
    same(decode_request(request.SerializeToString()).inputs, wanted)


def test_wrong_tensors_are_named() -> None:
    request = by_protobuf({"probe": np.ones(3, np.float32)})
    request.inputs["probe"].dtype = 2
    with pytest.raises(ValueError, match="input probe has dtype 2"):
        decode_request(request.SerializeToString())


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode_request(data)
    except ValueError:
        return


@given(inputs, st.data())
def test_a_request_that_is_cut_off_gives_no_other_arrays(sent: dict[str, Array], data: st.DataObject) -> None:
    whole = encode_request(spec(name="neardup"), sent)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        found = decode_request(cut).inputs
    except ValueError:
        return
    same(found, {name: sent[name] for name in found})
