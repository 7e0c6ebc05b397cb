"""The embedded PredictionService: this project's own gRPC server, in a process of its own."""

import os
import sys
from typing import Any, Final

from neardup.engines.engine import Engine, Site
from neardup.engines.processes import Launch
from neardup.errors import ConfigError, ScorerUnavailableError

__all__ = ["SCORER"]


def _prepare(site: Site) -> Launch:
    from scorer.layout import newest_version, shipped_models  # noqa: PLC0415 - a stage, needed only here

    scorer = site.settings.scorer
    try:
        newest_version(scorer.model_dir or shipped_models())
    except ConfigError as exc:
        raise ConfigError(f"NEARDUP_SCORER__MODEL_DIR: {exc}") from exc
    folder = ("--model-dir", str(scorer.model_dir.resolve())) if scorer.model_dir else ()
    return Launch(
        argv=(
            sys.executable,
            "-m",
            "scorer.server",
            "--host=127.0.0.1",
            f"--port={site.port}",
            f"--model-name={scorer.model_name}",
            f"--poll-seconds={scorer.poll_seconds}",
            *folder,
        ),
        cwd=site.folder,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUNBUFFERED": "1"},
    )


def _probe(site: Site) -> str:
    """Predict one pair of the shape that the model asks for; the version is the model's."""
    import grpc  # noqa: PLC0415 - slow to import
    import numpy as np  # noqa: PLC0415

    from scorer import wire  # noqa: PLC0415

    with grpc.insecure_channel(f"127.0.0.1:{site.port}", options=wire.CHANNEL_OPTIONS) as channel:

        def call(method: wire.Method, request: Any) -> Any:
            send = channel.unary_unary(
                method.path, request_serializer=method.encode_request, response_deserializer=method.decode_response
            )
            return send(request, timeout=5.0)

        try:
            question = wire.METADATA.request(metadata_field=["signature_def"])
            question.model_spec.name = site.settings.scorer.model_name
            signatures = wire.message_class("tensorflow.serving.SignatureDefMap")()
            call(wire.METADATA, question).metadata["signature_def"].Unpack(signatures)
            request = wire.PREDICT.request()
            request.model_spec.name = site.settings.scorer.model_name
            for name, tensor in signatures.signature_def[wire.SIGNATURE].inputs.items():
                shape = [max(1, dim.size) for dim in tensor.tensor_shape.dim]
                wire.tensor_of(np.ones(shape, wire.dtype_of(tensor.dtype)), request.inputs[name])
            answer = call(wire.PREDICT, request)
            score = wire.array_of(answer.outputs[wire.OUTPUT])
        except (grpc.RpcError, ValueError) as exc:
            raise ScorerUnavailableError(f"the PredictionService does not answer: {exc}") from exc
    if not np.all((score >= 0) & (score <= 1)):
        raise ScorerUnavailableError(f"the PredictionService gave {score.tolist()}, not a probability")
    return f"model {answer.model_spec.version.value}"


SCORER: Final = Engine(name="scorer", version=None, lock=False, prepare=_prepare, probe=_probe, patience_seconds=5.0)
