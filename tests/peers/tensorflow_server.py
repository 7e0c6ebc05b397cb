"""The services of tensorflow-serving-api, their own base classes, over a SavedModel that TensorFlow runs.

python tensorflow_server.py FOLDER_OF_VERSIONS: serves the highest, prints its port, ends when standard input ends.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    def __init__(self, folder: Path) -> None:
        self.version = int(folder.name)
        # What TensorFlow Serving gives as metadata: the signatures that lie in the file.
        self.described = SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def
        self.signatures = tf.saved_model.load(str(folder)).signatures

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = request.model_spec.signature_name
        for name, tensor in self.signatures[request.model_spec.signature_name](**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in self.described.items():
            signatures.signature_def[name].CopyFrom(signature)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = self.version
        response.metadata["signature_def"].Pack(signatures)
        return response


class Model(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    def __init__(self, version: int) -> None:
        self.version = version

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(
            version=self.version, state=get_model_status_pb2.ModelVersionStatus.State.AVAILABLE
        )
        return response


def main(models: Path) -> None:
    prediction = Prediction(max(models.iterdir(), key=lambda folder: int(folder.name)))
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", 64 * 1024 * 1024)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Model(prediction.version), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
