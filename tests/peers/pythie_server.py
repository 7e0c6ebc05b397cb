"""pythie-serving, a PredictionService that others wrote, with the scorer's numbers: python pythie_server.py FOLDER.

Its messages, its reading of tensors, its Predict and its answer. Its models take columns, so what is added is one that
takes pairs, and the names that our client looks for. FOLDER holds neardup.npz and metadata.json. Prints its port, ends
when standard input ends.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from pythie_serving.abstract_wrapper import AbstractPythieServingPredictionServiceServicer
from pythie_serving.tensorflow_proto.tensorflow_serving.apis import prediction_service_pb2_grpc
from pythie_serving.tensorflow_proto.tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
from pythie_serving.utils import make_ndarray_from_tensor


class Prediction(AbstractPythieServingPredictionServiceServicer):  # type: ignore[misc]
    model_file_extension = ".npz"

    def _create_model_specs(self, model_config: Any) -> Any:
        return {"model": dict(np.load(self._get_model_path(model_config)))}

    @staticmethod
    def _parse_samples(request: Any, model_specs: Any) -> Any:
        return {name: make_ndarray_from_tensor(tensor) for name, tensor in request.inputs.items()}

    def _predict(self, model_specs: Any, samples: Any) -> Any:
        numbers = model_specs["model"]
        probe, candidate, overlap = samples["probe"], samples["candidate"], samples["overlap"]
        content = len(numbers["metric"])
        probe_content, candidate_content = probe[:, :content], candidate[:, :content]
        hidden = np.logaddexp(0, (probe_content - candidate_content) ** 2 @ numbers["metric"] + numbers["offsets"])
        agreed = (probe * candidate)[:, content:]
        mirrored = np.arange(1, 256) % 2 == 1  # the odd columns of 16 x 16 frequencies but the first
        straight = agreed[:, ~mirrored] @ numbers["sign_weights"][~mirrored]
        turned = np.abs(agreed[:, mirrored] @ numbers["sign_weights"][mirrored])
        rises = np.logaddexp(0, np.repeat(straight + turned, 5, axis=1) * 12 + numbers["knots"])
        lengths = np.linalg.norm(probe_content, axis=1) * np.linalg.norm(candidate_content, axis=1)
        cosine = (probe_content * candidate_content).sum(axis=1) / np.maximum(lengths, 1e-12)
        features = np.concatenate([hidden, rises, cosine[:, None], np.log1p(overlap / 8)], axis=1)
        return (1 / (1 + np.exp(-(features @ numbers["weights"] + numbers["bias"])))).reshape(-1)

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = super().Predict(request, context)
        response.outputs["score"].CopyFrom(response.outputs["predictions"])
        response.model_spec.version.value = 1
        return response


def main(folder: str) -> None:
    config = ModelServerConfig()
    config.model_config_list.config.add(name="neardup", base_path=folder)
    server = grpc.server(ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(model_server_config=config), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    main(sys.argv[1])
