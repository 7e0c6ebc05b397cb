"""The PairScorer that asks a PredictionService: TensorFlow Serving in production, the embedded one on a laptop."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc
import numpy as np

from neardup.errors import ConfigError, ScorerUnavailableError
from neardup.ports import Calibration
from neardup.types import PairBatch, Scores, Vector
from scorer import calibration, wire
from scorer.layout import version_folder
from scorer.tensors import encode_request

__all__ = ["TensorFlowServingScorer"]

_AVAILABLE: Final = 30
_VERSION_RACES: Final = 3

# gRPC itself repeats a call that never reached a server; more patience is the worker's business.
_SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "tensorflow.serving.PredictionService"}, {"service": wire.STATUS.service}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
_RECONNECT: Final = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # This also is how long one attempt to connect may take: a busy machine needs more than an instant.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class TensorFlowServingScorer:
    """Scores pairs over gRPC. Thread-safe; connects with the first call.

    `endpoint`: host:port. `model_dir`: folder of numbered versions with their calibrations; None: the shipped ones.
    A batch of more than `batch_rows` pairs goes out as several requests at once.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        model_name: str = "neardup",
        model_dir: Path | None = None,
        timeout_seconds: float = 5.0,
        batch_rows: int = 2048,
    ) -> None:
        self._endpoint = endpoint
        self._model_name = model_name
        self._model_dir = model_dir
        self._timeout = timeout_seconds
        self._batch_rows = batch_rows
        self._spec = wire.message_class("tensorflow.serving.ModelSpec")(name=model_name, signature_name=wire.SIGNATURE)
        self._calibrations: dict[int, Calibration] = {}
        self._channel = grpc.insecure_channel(endpoint, options=[*wire.CHANNEL_OPTIONS, *_RECONNECT])
        # The requests of Predict are encoded by scorer.tensors.
        self._predict = self._callable(wire.PREDICT, encode=None)
        self._status = self._callable(wire.STATUS, encode=wire.STATUS.encode_request)

    def calibration(self, model_version: int) -> Calibration:
        """See PairScorer. Raises ConfigError."""
        if model_version not in self._calibrations:
            record = calibration.load(version_folder(self._model_dir, model_version))
            if record.model_version != model_version:
                raise ConfigError(f"calibration of model version {model_version} is for {record.model_version}")
            self._calibrations[model_version] = record.calibration()
        return self._calibrations[model_version]

    def score(self, batch: PairBatch) -> Scores:
        """See PairScorer. Raises ScorerUnavailableError; ConfigError when the model refuses the shape of the inputs."""
        if len(batch.probes) == 0:
            return Scores(values=np.empty(0, np.float32), model_version=self.served_version())
        for _ in range(_VERSION_RACES):
            answers = self._answers(batch)
            versions = {answer.model_spec.version.value for answer in answers}
            if len(versions) == 1:
                return Scores(values=self._values(answers, len(batch.probes)), model_version=versions.pop())
        raise ScorerUnavailableError(f"{self._endpoint}: the model keeps changing while a batch is scored")

    def served_version(self) -> int:
        """The newest version that is ready. Raises ScorerUnavailableError when none is."""
        request = wire.STATUS.request()
        request.model_spec.name = self._model_name
        try:
            answer = self._status(request, timeout=self._timeout)
        except grpc.RpcError as exc:
            raise self._error(exc) from exc
        ready = [status.version for status in answer.model_version_status if status.state == _AVAILABLE]
        if not ready:
            raise ScorerUnavailableError(f"{self._endpoint}: no version of model {self._model_name} is ready")
        return int(max(ready))

    def close(self) -> None:
        """Give the connection back."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _callable(self, method: wire.Method, *, encode: Callable[[Any], bytes] | None) -> Any:
        return self._channel.unary_unary(
            method.path, request_serializer=encode, response_deserializer=method.decode_response
        )

    def _answers(self, batch: PairBatch) -> list[Any]:
        """The answers to all parts of a batch, in order; the parts are under way at the same time."""
        starts = range(0, len(batch.probes), self._batch_rows)
        calls = [
            self._predict.future(self._request(batch, slice(start, start + self._batch_rows)), timeout=self._timeout)
            for start in starts
        ]
        try:
            return [call.result() for call in calls]
        except grpc.RpcError as exc:
            for call in calls:
                call.cancel()
            raise self._error(exc) from exc

    def _request(self, batch: PairBatch, rows: slice) -> bytes:
        arrays = (batch.probes[rows], batch.candidates[rows], batch.overlap[rows, None].astype(np.float32))
        return encode_request(self._spec, dict(zip(wire.INPUTS, arrays, strict=True)))

    def _values(self, answers: Sequence[Any], rows: int) -> Vector:
        try:
            values = np.concatenate([wire.array_of(answer.outputs[wire.OUTPUT]).ravel() for answer in answers])
        except ValueError as exc:
            raise ScorerUnavailableError(f"{self._endpoint}: output {wire.OUTPUT} {exc}") from exc
        if len(values) != rows or not np.all((values >= 0) & (values <= 1)):
            raise ScorerUnavailableError(f"{self._endpoint}: output {wire.OUTPUT} is not {rows} probabilities")
        return values

    def _error(self, error: grpc.RpcError) -> ConfigError | ScorerUnavailableError:
        code, details = error.code(), error.details()
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            return ConfigError(f"model {self._model_name} at {self._endpoint} refuses the request: {details}")
        return ScorerUnavailableError(f"{self._endpoint}: {code.name}: {details}")
