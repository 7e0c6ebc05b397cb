"""The official stubs of tensorflow-serving-api as a client: python official_client.py ENDPOINT PAIRS.npz.

Prints JSON: the model's name and version, the scores, the shape of the input `probe`, the states of the versions.
"""

import json
import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def main(endpoint: str, pairs: str) -> None:
    channel = grpc.insecure_channel(endpoint, options=[("grpc.max_send_message_length", 64 * 1024 * 1024)])
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "neardup"
    for name, array in np.load(pairs).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    answer = prediction.Predict(request, timeout=60)
    question = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    question.model_spec.name = "neardup"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    prediction.GetModelMetadata(question, timeout=60).metadata["signature_def"].Unpack(signatures)
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "neardup"
    states = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(asked, timeout=60).model_version_status
    probe = signatures.signature_def["serving_default"].inputs["probe"]
    json.dump(
        {
            "name": answer.model_spec.name,
            "version": answer.model_spec.version.value,
            "scores": tf.make_ndarray(answer.outputs["score"]).tolist(),
            "probe": [dim.size for dim in probe.tensor_shape.dim],
            "states": [
                [each.version, get_model_status_pb2.ModelVersionStatus.State.Name(each.state)] for each in states
            ],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
