"""Asks a model on one or several PredictionServices: TensorFlow Serving in production, the embedded one on a laptop."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
import numpy as np

from neardup.errors import ConfigError, ScorerUnavailableError
from scorer import wire
from scorer.endpoints import Endpoint, Endpoints, Tls
from scorer.tensors import encode_request

__all__ = ["Answer", "Offer", "Predictor"]

_AVAILABLE: Final = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of a signature, each flat, and the version that gave them; None when parts are of several."""

    outputs: Mapping[str, wire.Array]
    version: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """`version` of a model has these signatures, each for score embeddings of that width. A server that does not say
    has no version."""

    version: int | None
    widths: Mapping[str, int]


@dataclass(slots=True)
class _Call:
    """One request under way: `answer` is promised by the first of `endpoints`, the others may be asked next."""

    request: bytes
    endpoints: list[Endpoint]
    answer: Any


class Predictor:
    """Thread-safe; connects with the first call. `addresses`: host:port, or several with commas between them, which are
    asked in turn; one that cannot be reached is passed over. `timeout`: seconds for a call, with all that is repeated.

    Calls raise ScorerUnavailableError; ConfigError when the model refuses what it is asked.
    """

    def __init__(self, addresses: str, tls: Tls | None, *, model_name: str, timeout: float) -> None:
        self._endpoints = Endpoints(addresses, tls)
        self._model_name = model_name
        self._timeout = timeout

    def deadline(self) -> float:
        """Of a call that begins now."""
        return time.monotonic() + self._timeout

    def ask(
        self, signature: str, arrays: Mapping[str, wire.Array], *, at_once: int, spread: bool, deadline: float
    ) -> Answer:
        """All rows of the inputs, `at_once` in a request, all requests at the same time. `spread`: to all servers in
        turn; else to one."""
        spec = wire.message_class("tensorflow.serving.ModelSpec")(name=self._model_name, signature_name=signature)
        first = self._endpoints.in_turn()
        calls: list[_Call] = []
        try:
            for start in range(0, len(arrays[wire.OVERLAP]), at_once):
                endpoints = self._endpoints.in_turn() if spread and start else first
                part = {name: array[start : start + at_once] for name, array in arrays.items()}
                request = encode_request(spec, part)
                calls.append(_Call(request, endpoints, _sent(request, endpoints, deadline)))
            answers = [self._answer(call, deadline) for call in calls]
        finally:
            # Those that are done do not mind.
            for call in calls:
                call.answer.cancel()
        versions = {answer.model_spec.version.value for answer in answers}
        try:
            outputs = {
                name: np.concatenate([wire.array_of(answer.outputs[name]).ravel() for answer in answers])
                for name in answers[0].outputs
            }
        except ValueError as exc:
            raise ScorerUnavailableError(f"{self._model_name}: an output of {signature} {exc}") from exc
        return Answer(outputs, versions.pop() if len(versions) == 1 else None)

    def offer(self) -> Offer:
        """What the model that is served has."""
        request = wire.METADATA.request(metadata_field=["signature_def"])
        request.model_spec.name = self._model_name
        _, answer = self._asked_by(lambda endpoint: endpoint.metadata, request)
        if answer is None:
            return Offer(None, {})
        signatures = wire.message_class("tensorflow.serving.SignatureDefMap")()
        answer.metadata["signature_def"].Unpack(signatures)
        shapes = {
            name: signature.inputs[wire.INPUTS[0]].tensor_shape.dim
            for name, signature in signatures.signature_def.items()
            if wire.INPUTS[0] in signature.inputs
        }
        return Offer(answer.model_spec.version.value, {name: shape[-1].size for name, shape in shapes.items() if shape})

    def served_version(self) -> int:
        """The newest version that is ready."""
        request = wire.STATUS.request()
        request.model_spec.name = self._model_name
        address, answer = self._asked_by(lambda endpoint: endpoint.status, request)
        states = answer.model_version_status if answer else ()
        ready = [status.version for status in states if status.state == _AVAILABLE]
        if not ready:
            raise ScorerUnavailableError(f"{address}: no version of model {self._model_name} is ready")
        return int(max(ready))

    def close(self) -> None:
        """Give the connections back."""
        self._endpoints.close()

    def _asked_by(self, method: Callable[[Endpoint], Any], request: Any) -> tuple[str, Any]:
        """Who answered, and what; nothing when the server does not know the method."""
        deadline = self.deadline()
        endpoints = self._endpoints.in_turn()
        while True:
            try:
                return endpoints[0].address, method(endpoints[0])(request, timeout=_until(deadline))
            except grpc.RpcError as exc:
                if exc.code() is grpc.StatusCode.UNIMPLEMENTED:
                    return endpoints[0].address, None
                endpoints = self._after(exc, endpoints)

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


def _sent(request: bytes, endpoints: list[Endpoint], deadline: float) -> Any:
    return endpoints[0].predict.future(request, timeout=_until(deadline))


def _until(deadline: float) -> float:
    """Seconds that are left; a call whose time has passed ends at once."""
    return max(0.0, deadline - time.monotonic())
