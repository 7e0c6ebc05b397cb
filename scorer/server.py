"""The embedded PredictionService: the protocol of TensorFlow Serving, models run by onnxruntime.

For laptops and tests, where TensorFlow Serving is not available; production runs TensorFlow Serving (docker/).

    python -m scorer.server --host 127.0.0.1 --port 8500 --model-name neardup [--model-dir DIR]

Serves the highest numbered version in the folder and follows the folder (`scorer.versions`). Ends at SIGTERM after
finishing what is under way.
"""

import ctypes
import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import click
import grpc

from neardup.errors import ConfigError, NearDupError
from scorer import wire
from scorer.layout import shipped_models
from scorer.runtime import OnnxModel
from scorer.tensors import decode_request
from scorer.versions import ModelVersion, ModelVersions

__all__ = ["PredictionService", "serve"]

_INTERNAL: Final = 13
_SERVING: Final = 1
_NOT_SERVING: Final = 2
_GRACE_SECONDS: Final = 3.0
_KEPT_BYTES: Final = 32 * 1024 * 1024
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

Context = grpc.ServicerContext


class PredictionService:
    """Answers Predict, GetModelMetadata, GetModelStatus and health checks for one model."""

    def __init__(self, model_name: str, versions: ModelVersions) -> None:
        self.model_name = model_name
        self.versions = versions
        self.serving = True

    def handlers(self) -> "list[grpc.GenericRpcHandler[Any, Any]]":
        answers: tuple[tuple[wire.Method, Callable[[Any, Context], Any]], ...] = (
            (wire.PREDICT, self.predict),
            (wire.METADATA, self.metadata),
            (wire.STATUS, self.status),
            (wire.HEALTH, self.health),
        )
        services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
        for method, answer in answers:
            services.setdefault(method.service, {})[method.name] = grpc.unary_unary_rpc_method_handler(
                answer,
                # Predict reads its own requests, without copies.
                request_deserializer=None if method is wire.PREDICT else method.request.FromString,
                response_serializer=method.response.SerializeToString,
            )
        return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]

    def predict(self, data: bytes, context: Context) -> Any:
        try:
            call = decode_request(data)
        except ValueError as exc:
            _abort(context, str(exc))
        spec = call.message.model_spec
        served = self._served(spec, context)
        signature = spec.signature_name or wire.SIGNATURE
        if signature not in served.signatures:
            _abort(context, f"signature {signature!r}: there is only {' and '.join(served.signatures)}")
        try:
            outputs = served.signatures[signature].run(call.inputs)
        except ValueError as exc:
            _abort(context, str(exc))
        response = wire.PREDICT.response()
        self._fill_spec(response.model_spec, served, signature)
        for name, array in outputs.items():
            wire.tensor_of(array, response.outputs[name])
        return response

    def metadata(self, request: Any, context: Context) -> Any:
        served = self._served(request.model_spec, context)
        if list(request.metadata_field) != ["signature_def"]:
            _abort(context, f"metadata_field {list(request.metadata_field)}: only ['signature_def'] exists")
        signatures = wire.message_class("tensorflow.serving.SignatureDefMap")()
        for name, model in served.signatures.items():
            _describe(model, signatures.signature_def[name])
        response = wire.METADATA.response()
        self._fill_spec(response.model_spec, served, wire.SIGNATURE)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request: Any, context: Context) -> Any:
        spec = request.model_spec
        self._check_name(spec, context)
        states = self.versions.states()
        if spec.HasField("version"):
            states = [state for state in states if state.version == spec.version.value]
            if not states:
                message = f"version {spec.version.value} of {spec.name!r} was never seen"
                _abort(context, message, grpc.StatusCode.NOT_FOUND)
        response = wire.STATUS.response()
        for state in states:
            added = response.model_version_status.add(version=state.version, state=state.state)
            added.status.error_code = _INTERNAL if state.error else 0
            added.status.error_message = state.error
        return response

    def health(self, request: Any, context: Context) -> Any:
        if request.service not in {"", wire.PREDICT.service, wire.STATUS.service}:
            _abort(context, f"service {request.service!r} is not known", grpc.StatusCode.NOT_FOUND)
        return wire.HEALTH.response(status=_SERVING if self.serving else _NOT_SERVING)

    def _served(self, spec: Any, context: Context) -> ModelVersion:
        """The served version, taken once: it may be another one at any later time."""
        self._check_name(spec, context)
        served = self.versions.current
        if spec.HasField("version") and spec.version.value != served.number:
            message = f"version {spec.version.value} of {spec.name!r} is not served, only {served.number}"
            _abort(context, message, grpc.StatusCode.NOT_FOUND)
        return served

    def _check_name(self, spec: Any, context: Context) -> None:
        if spec.name != self.model_name:
            message = f"model {spec.name!r} is not served here, only {self.model_name!r}"
            _abort(context, message, grpc.StatusCode.NOT_FOUND)
        if spec.version_label:
            _abort(context, f"version_label {spec.version_label!r}: versions have no labels here")

    def _fill_spec(self, spec: Any, served: ModelVersion, signature: str) -> None:
        spec.name = self.model_name
        spec.version.value = served.number
        spec.signature_name = signature


def _describe(model: OnnxModel, signature: Any) -> None:
    """Inputs and outputs, in a SignatureDef."""
    signature.method_name = "tensorflow/serving/predict"
    for described, shapes in ((signature.inputs, model.input_shapes), (signature.outputs, model.output_shapes)):
        for name, shape in shapes.items():
            described[name].name = f"{name}:0"
            described[name].dtype = wire.type_number(model.types[name])
            for length in shape:
                described[name].tensor_shape.dim.add(size=length)


def _abort(context: Context, message: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort() raises")


def serve(
    service: PredictionService, address: str, *, threads: int = 2, credentials: grpc.ServerCredentials | None = None
) -> tuple[grpc.Server, int]:
    """A started server and its port (`address` may end in :0), with TLS when there are `credentials`.

    Raises ConfigError when the address is not free.
    """
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix="predict"),
        options=[*wire.CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)],
    )
    server.add_generic_rpc_handlers(service.handlers())
    try:
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as exc:
        raise ConfigError(f"{address}: cannot listen there; the port may be in use") from exc
    server.start()
    return server, port


def _keep_memory() -> None:
    """Let glibc use the memory of one request again for the next, all threads from one heap.

    By default it takes fresh pages from the system for every large array; filling those in costs three times as much as
    scoring. What is kept is little more than the requests that are under way at a time.
    """
    with suppress(OSError, AttributeError):
        for option, value in ((_M_MMAP_THRESHOLD, _KEPT_BYTES), (_M_TRIM_THRESHOLD, _KEPT_BYTES), (_M_ARENA_MAX, 1)):
            ctypes.CDLL(None).mallopt(option, value)


@click.command(help="The embedded PredictionService.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8500, show_default=True, help="0: any free one.")
@click.option("--model-name", default="neardup", show_default=True)
@click.option("--model-dir", type=click.Path(path_type=Path), help="Folder of numbered versions; default: shipped.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Requests run at a time.")
@click.option(
    "--poll-seconds",
    type=click.FloatRange(0, min_open=True),
    default=2.0,
    show_default=True,
    help="Time between two looks at the folder.",
)
def main(*, host: str, port: int, model_name: str, model_dir: Path | None, threads: int, poll_seconds: float) -> None:
    """Serve until SIGTERM or SIGINT."""
    _keep_memory()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        versions = ModelVersions(model_dir or shipped_models())
        versions.poll()
        service = PredictionService(model_name, versions)
        version = versions.current.number
        server, bound = serve(service, f"{host}:{port}", threads=threads)
    except NearDupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{model_name} version {version} on {host}:{bound}")
    while not stop.wait(poll_seconds):
        versions.poll()
    service.serving = False
    server.stop(_GRACE_SECONDS).wait()


if __name__ == "__main__":
    main()
