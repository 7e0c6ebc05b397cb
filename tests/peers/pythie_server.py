"""pythie-serving, a PredictionService that others wrote, with the scorer's numbers: pythie_server.py FOLDER PATH…

Its messages, its reading of tensors, its Predict and its answer. Its models take columns, so what is added is one that
takes pairs, and the names that our client looks for. FOLDER holds neardup.npz and metadata.json; the scorer's formula
is found on PATH…, after what pythie-serving comes with. Prints its port, ends when standard input ends.
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
        from scorer.network import Network, Sight

        numbers = dict(np.load(self._get_model_path(model_config)))
        trust, start, sure = (numbers.pop(name) for name in ("trust", "start", "sure"))
        return {"model": Network(Sight(**numbers), trust, start, sure)}

    @staticmethod
    def _parse_samples(request: Any, model_specs: Any) -> Any:
        return {name: make_ndarray_from_tensor(tensor) for name, tensor in request.inputs.items()}

    def _predict(self, model_specs: Any, samples: Any) -> Any:
        from scorer.network import logits
        from scorer.ops import NUMPY

        overlap = samples["overlap"]
        probe, candidate = samples["probe"], samples["candidate"]
        pairs = (
            np.repeat(probe, overlap.shape[1], axis=0),
            candidate.reshape(-1, probe.shape[1]),
            overlap.reshape(-1, 1),
        )
        return 1 / (1 + np.exp(-logits(NUMPY, model_specs["model"], *pairs).reshape(overlap.shape)))

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
    sys.path += sys.argv[2:]
    main(sys.argv[1])
