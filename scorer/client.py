"""The PairScorer that asks a PredictionService: TensorFlow Serving in production, the embedded one on a laptop."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc
import numpy as np

from neardup.errors import ConfigError, ScorerUnavailableError
from neardup.ports import Calibration
from neardup.types import PairBatch, Scores, Vector
from scorer import calibration, wire
from scorer.endpoints import Endpoint, Endpoints, Tls
from scorer.groups import GROUP, grouped
from scorer.layout import version_folder
from scorer.tensors import encode_request

__all__ = ["TensorFlowServingScorer"]

_AVAILABLE: Final = 30
_VERSION_RACES: Final = 3


@dataclass(slots=True)
class _Call:
    """One request under way: `answer` is promised by the first of `endpoints`, the others may be asked next."""

    request: bytes
    endpoints: list[Endpoint]
    answer: Any


class TensorFlowServingScorer:
    """Scores pairs over gRPC. Thread-safe; connects with the first call.

    `endpoint`: host:port, or several with commas between them, which are asked in turn; one that cannot be reached is
    passed over. `tls`: None sends in the clear. `model_dir`: folder of numbered versions with their calibrations; None:
    the shipped ones. `timeout_seconds`: deadline of one batch. A batch of more than `batch_rows` pairs goes out as
    several requests at once.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        tls: Tls | None = None,
        model_name: str = "neardup",
        model_dir: Path | None = None,
        timeout_seconds: float = 5.0,
        batch_rows: int = 2048,
    ) -> None:
        self._endpoints = Endpoints(endpoint, tls)
        self._model_name = model_name
        self._model_dir = model_dir
        self._timeout = timeout_seconds
        self._batch_rows = batch_rows
        self._spec = wire.message_class("tensorflow.serving.ModelSpec")(name=model_name, signature_name=wire.SIGNATURE)
        self._calibrations: dict[int, Calibration] = {}

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
        if len(batch) == 0:
            return Scores(values=np.empty(0, np.float32), model_version=self.served_version())
        arrays, places = grouped(batch)
        for race in range(_VERSION_RACES):
            # While a new version comes, servers may differ for a moment: then one of them answers everything.
            answers = self._answers(arrays, spread=race == 0)
            versions = {answer.model_spec.version.value for answer in answers}
            if len(versions) == 1:
                values = self._values(answers, arrays[wire.OVERLAP].size)[places]
                return Scores(values=values, model_version=versions.pop())
        raise ScorerUnavailableError(f"{self._model_name}: the model keeps changing while a batch is scored")

    def served_version(self) -> int:
        """The newest version that is ready. Raises ScorerUnavailableError when none is."""
        request = wire.STATUS.request()
        request.model_spec.name = self._model_name
        deadline = time.monotonic() + self._timeout
        endpoints = self._endpoints.in_turn()
        while True:
            try:
                answer = endpoints[0].status(request, timeout=_until(deadline))
                break
            except grpc.RpcError as exc:
                endpoints = self._after(exc, endpoints)
        ready = [status.version for status in answer.model_version_status if status.state == _AVAILABLE]
        if not ready:
            raise ScorerUnavailableError(f"{endpoints[0].address}: no version of model {self._model_name} is ready")
        return int(max(ready))

    def close(self) -> None:
        """Give the connections back."""
        self._endpoints.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answers(self, arrays: Mapping[str, wire.Array], *, spread: bool) -> list[Any]:
        """The answers to all parts of the inputs, in order; the parts are under way at the same time."""
        at_once = max(1, self._batch_rows // GROUP)
        deadline = time.monotonic() + self._timeout
        first = self._endpoints.in_turn()
        calls: list[_Call] = []
        try:
            for start in range(0, len(arrays[wire.OVERLAP]), at_once):
                endpoints = self._endpoints.in_turn() if spread and start else first
                part = {name: array[start : start + at_once] for name, array in arrays.items()}
                request = encode_request(self._spec, part)
                calls.append(_Call(request, endpoints, _sent(request, endpoints, deadline)))
            return [self._answer(call, deadline) for call in calls]
        finally:
            # Those that are done do not mind.
            for call in calls:
                call.answer.cancel()

    def _answer(self, call: _Call, deadline: float) -> Any:
        while True:
            try:
                return call.answer.result()
            except grpc.RpcError as exc:
                call.endpoints = self._after(exc, call.endpoints)
                call.answer = _sent(call.request, call.endpoints, deadline)

    def _after(self, error: grpc.RpcError, endpoints: list[Endpoint]) -> list[Endpoint]:
        """The endpoints to ask after the first of these gave an error. Raises what the error means when that is final.

        Only a server that cannot be reached is passed over: any other would answer the same, or was given its time.
        """
        code = error.code()
        if code is grpc.StatusCode.UNAVAILABLE and len(endpoints) > 1:
            return endpoints[1:]
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._endpoints.rest(endpoints[0])
        address, details = endpoints[0].address, error.details()
        if code is grpc.StatusCode.INVALID_ARGUMENT:
            raise ConfigError(f"model {self._model_name} at {address} refuses the request: {details}") from error
        raise ScorerUnavailableError(f"{address}: {code.name}: {details}") from error

    def _values(self, answers: Sequence[Any], count: int) -> Vector:
        try:
            values: Vector = np.concatenate([wire.array_of(answer.outputs[wire.OUTPUT]).ravel() for answer in answers])
        except ValueError as exc:
            raise ScorerUnavailableError(f"{self._model_name}: output {wire.OUTPUT} {exc}") from exc
        if len(values) != count or not np.all((values >= 0) & (values <= 1)):
            raise ScorerUnavailableError(f"{self._model_name}: output {wire.OUTPUT} is not {count} probabilities")
        return values


def _sent(request: bytes, endpoints: list[Endpoint], deadline: float) -> Any:
    return endpoints[0].predict.future(request, timeout=_until(deadline))


def _until(deadline: float) -> float:
    """Seconds that are left; a call whose time has passed ends at once."""
    return max(0.0, deadline - time.monotonic())
