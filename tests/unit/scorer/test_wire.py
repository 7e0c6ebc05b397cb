"""The wire format against bytes written by the official packages (tests/data/wire/make.py)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from scorer import wire

DATA = Path(__file__).parents[2] / "data" / "wire"


def golden(name: str) -> bytes:
    return (DATA / f"{name}.bin").read_bytes()


def same_bytes(message: Any, name: str) -> bool:
    return bool(message.SerializeToString(deterministic=True) == golden(name))


def test_predict_request_is_written_as_the_official_stub_writes_it() -> None:
    request = wire.PREDICT.request()
    request.model_spec.name = "neardup"
    request.model_spec.signature_name = "serving_default"
    probe = (np.arange(6).reshape(2, 3) / 8).astype(np.float32)
    wire.tensor_of(probe, request.inputs["probe"])
    wire.tensor_of(probe + np.float32(1), request.inputs["candidate"])
    wire.tensor_of(np.array([[3], [64]], np.float32), request.inputs["overlap"])
    assert same_bytes(request, "predict_request")


@pytest.mark.parametrize("name", ["predict_response", "predict_response_float_val"])
def test_predict_response_is_read_in_both_encodings(name: str) -> None:
    response = wire.PREDICT.response.FromString(golden(name))
    assert response.model_spec.version.value == 7
    np.testing.assert_array_equal(wire.array_of(response.outputs["score"]), np.array([0.25, 0.75], np.float32))
    assert same_bytes(response, name)


def test_metadata_and_status() -> None:
    request = wire.METADATA.request(metadata_field=["signature_def"])
    request.model_spec.name = "neardup"
    assert same_bytes(request, "metadata_request")
    response = wire.METADATA.response.FromString(golden("metadata_response"))
    signatures = wire.message_class("tensorflow.serving.SignatureDefMap")()
    assert response.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def[wire.SIGNATURE]
    assert set(signature.inputs) == set(wire.INPUTS)
    assert [dim.size for dim in signature.inputs["probe"].tensor_shape.dim] == [-1, 352]
    status = wire.STATUS.response.FromString(golden("status_response"))
    assert [(each.version, each.state) for each in status.model_version_status] == [(7, 30)]


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float16]), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
    )
)
def test_tensors_come_back(array: wire.Array) -> None:
    tensor = wire.message_class("tensorflow.TensorProto")()
    wire.tensor_of(array, tensor)
    assert not tensor.float_val
    np.testing.assert_array_equal(wire.array_of(type(tensor).FromString(tensor.SerializeToString())), array)


def test_one_value_may_stand_for_all() -> None:
    tensor = wire.message_class("tensorflow.TensorProto")(dtype=1, float_val=[2.5])
    tensor.tensor_shape.dim.add(size=3)
    assert wire.array_of(tensor).tolist() == [2.5, 2.5, 2.5]


@pytest.mark.parametrize(
    ("fields", "lengths", "reason"),
    [
        ({"dtype": 2, "tensor_content": b"12345678"}, [1], "dtype 2"),
        ({"dtype": 1, "tensor_content": b"12345678"}, [3], r"2 values for the shape \(3,\)"),
        ({"dtype": 1, "tensor_content": b"12345"}, [1], "5 bytes"),
        ({"dtype": 1, "float_val": [1, 2]}, [3], "2 values"),
        ({"dtype": 1, "tensor_content": b"1234"}, [-1], "negative"),
        ({"dtype": 1}, [1 << 40, 1 << 40], "0 values"),
        ({"dtype": 1, "float_val": [1]}, [1 << 40], "1 value"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_wrong_tensors_say_why(fields: dict[str, Any], lengths: list[int], reason: str) -> None:
    tensor = wire.message_class("tensorflow.TensorProto")(**fields)
    for length in lengths:
        tensor.tensor_shape.dim.add(size=length)
    with pytest.raises(ValueError, match=reason):
        wire.array_of(tensor)
