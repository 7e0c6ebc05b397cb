"""Writes the golden bytes beside this file with the official packages.

pip install tensorflow-serving-api==2.21.0; python tests/data/wire/make.py
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.any_pb2 import Any
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse


def predict_request() -> PredictRequest:
    request = PredictRequest()
    request.model_spec.name = "neardup"
    request.model_spec.signature_name = "serving_default"
    probe = np.arange(6, dtype=np.float32).reshape(2, 3) / 8
    for name, array in (("probe", probe), ("candidate", probe + 1), ("overlap", np.array([[3], [64]], np.float32))):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request


def predict_response(*, content: bool) -> PredictResponse:
    response = PredictResponse()
    response.model_spec.name = "neardup"
    response.model_spec.version.value = 7
    response.model_spec.signature_name = "serving_default"
    scores = np.array([0.25, 0.75], np.float32)
    tensor = response.outputs["score"]
    tensor.CopyFrom(tf.make_tensor_proto(scores))
    if not content:
        tensor.ClearField("tensor_content")
        tensor.float_val.extend(scores.tolist())
    return response


def metadata_request() -> GetModelMetadataRequest:
    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "neardup"
    return request


def metadata_response() -> GetModelMetadataResponse:
    signature = SignatureDef(method_name="tensorflow/serving/predict")
    for name, width in (("probe", 352), ("candidate", 352), ("overlap", 1)):
        signature.inputs[name].name = f"{name}:0"
        signature.inputs[name].dtype = tf.float32.as_datatype_enum
        signature.inputs[name].tensor_shape.CopyFrom(tf.TensorShape([None, width]).as_proto())
    signature.outputs["score"].name = "score:0"
    signature.outputs["score"].dtype = tf.float32.as_datatype_enum
    signature.outputs["score"].tensor_shape.CopyFrom(tf.TensorShape([None]).as_proto())
    response = GetModelMetadataResponse()
    response.model_spec.name = "neardup"
    response.model_spec.version.value = 7
    response.model_spec.signature_name = "serving_default"
    packed = Any()
    packed.Pack(SignatureDefMap(signature_def={"serving_default": signature}), deterministic=True)
    response.metadata["signature_def"].CopyFrom(packed)
    return response


def status_response() -> GetModelStatusResponse:
    status = ModelVersionStatus(version=7, state=ModelVersionStatus.AVAILABLE)
    return GetModelStatusResponse(model_version_status=[status])


if __name__ == "__main__":
    for name, message in (
        ("predict_request", predict_request()),
        ("predict_response", predict_response(content=True)),
        ("predict_response_float_val", predict_response(content=False)),
        ("metadata_request", metadata_request()),
        ("metadata_response", metadata_response()),
        ("status_response", status_response()),
    ):
        Path(__file__).with_name(f"{name}.bin").write_bytes(message.SerializeToString(deterministic=True))
