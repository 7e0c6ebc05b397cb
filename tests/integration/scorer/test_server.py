"""The embedded PredictionService as a process of its own."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest

from neardup.errors import ConfigError, ScorerUnavailableError
from neardup.types import PairBatch
from scorer import wire
from scorer.client import TensorFlowServingScorer
from scorer.network import LATER
from tests.models import copy_version
from tests.prediction_server import PredictionServer, prediction_server, some_pairs

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[PredictionServer]:
    with prediction_server() as running:
        yield running


def call(endpoint: str, method: wire.Method, request: Any) -> Any:
    with grpc.insecure_channel(endpoint, options=list(wire.CHANNEL_OPTIONS)) as channel:
        stub = channel.unary_unary(
            method.path, request_serializer=method.encode_request, response_deserializer=method.decode_response
        )
        return stub(request, timeout=30)


def predict_request(rows: int = 3, *, model: str = "neardup", **replaced: Any) -> Any:
    rng = np.random.default_rng(rows)
    arrays = {
        "probe": rng.normal(size=(rows, 1055)).astype(np.float16),
        "candidate": rng.normal(size=(rows, 2, 1055)).astype(np.float16),
        "overlap": np.ones((rows, 2), np.float32),
        **replaced,
    }
    request = wire.PREDICT.request()
    request.model_spec.name = model
    for name, array in arrays.items():
        if array is not None:
            wire.tensor_of(array, request.inputs[name])
    return request


def test_predict(server: PredictionServer) -> None:
    response = call(server.endpoint, wire.PREDICT, predict_request())
    assert response.model_spec.name == "neardup"
    assert response.model_spec.version.value == 1
    assert wire.array_of(response.outputs["score"]).shape == (3, 2)


def test_metadata_describes_the_inputs(server: PredictionServer) -> None:
    request = wire.METADATA.request(metadata_field=["signature_def"])
    request.model_spec.name = "neardup"
    packed = call(server.endpoint, wire.METADATA, request).metadata["signature_def"]
    signatures = wire.message_class("tensorflow.serving.SignatureDefMap")()
    assert packed.Unpack(signatures)
    signature = signatures.signature_def[wire.SIGNATURE]
    shapes = {name: [dim.size for dim in info.tensor_shape.dim] for name, info in signature.inputs.items()}
    assert shapes == {"probe": [-1, 1055], "candidate": [-1, -1, 1055], "overlap": [-1, -1]}
    assert {name: info.dtype for name, info in signature.inputs.items()} == {"probe": 19, "candidate": 19, "overlap": 1}
    assert signatures.signature_def.keys() == {wire.SIGNATURE, wire.FIRST_SIGHT}
    seen_first = signatures.signature_def[wire.FIRST_SIGHT]
    assert [dim.size for dim in seen_first.inputs["candidate"].tensor_shape.dim] == [-1, -1, 1055 - LATER]
    assert seen_first.outputs.keys() == {"score", "promising"}


def test_status_and_health(server: PredictionServer) -> None:
    request = wire.STATUS.request()
    request.model_spec.name = "neardup"
    status = call(server.endpoint, wire.STATUS, request).model_version_status
    assert [(each.version, each.state) for each in status] == [(1, 30)]
    for service in ("", "tensorflow.serving.PredictionService"):
        assert call(server.endpoint, wire.HEALTH, wire.HEALTH.request(service=service)).status == 1


@pytest.mark.parametrize(
    ("replaced", "reason"),
    [
        ({"candidate": None}, "input candidate is missing"),
        ({"extra": np.ones((3, 1), np.float32)}, "input extra is unknown"),
        ({"probe": np.ones((3, 128), np.float16)}, r"input probe has shape \[3, 128\], wanted \[-1, 1055\]"),
        ({"probe": np.ones((3, 1055), np.float32)}, "input probe is float32, wanted float16"),
        ({"overlap": np.ones(3, np.float32)}, r"input overlap has shape \[3\]"),
        ({"overlap": np.ones((2, 2), np.float32)}, r"different numbers of rows: \[2, 3\]"),
        ({"overlap": np.ones((3, 1), np.float32)}, r"different numbers of candidates a row: \[1, 2\]"),
        ({"probe": np.full((3, 1055), np.nan, np.float16)}, "input probe contains NaN"),
        ({"candidate": np.full((3, 2, 1055), -np.inf, np.float16)}, "input candidate contains NaN or infinity"),
    ],
)
def test_wrong_inputs_are_named(server: PredictionServer, replaced: dict[str, Any], reason: str) -> None:
    with pytest.raises(grpc.RpcError, match=reason) as caught:
        call(server.endpoint, wire.PREDICT, predict_request(**replaced))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_wrong_tensor_is_named(server: PredictionServer) -> None:
    request = predict_request()
    request.inputs["probe"].dtype = 2
    with pytest.raises(grpc.RpcError, match="input probe has dtype 2"):
        call(server.endpoint, wire.PREDICT, request)


def test_an_unknown_model_and_version_are_named(server: PredictionServer) -> None:
    request = predict_request()
    request.model_spec.version.value = 9
    for wrong, reason in ((predict_request(model="other"), "model 'other'"), (request, "version 9")):
        with pytest.raises(grpc.RpcError, match=reason) as caught:
            call(server.endpoint, wire.PREDICT, wrong)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_version_may_be_asked_for_by_number_but_not_by_label(server: PredictionServer) -> None:
    request = predict_request()
    request.model_spec.version.value = 1
    assert call(server.endpoint, wire.PREDICT, request).model_spec.version.value == 1
    request.model_spec.version_label = "stable"
    with pytest.raises(grpc.RpcError, match="version_label 'stable'") as caught:
        call(server.endpoint, wire.PREDICT, request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_bytes_that_are_no_request_are_refused(server: PredictionServer) -> None:
    with grpc.insecure_channel(server.endpoint) as channel:
        send = channel.unary_unary(wire.PREDICT.path, None, None)
        for data in (b"\x12\xff", b"\x0f", b"\x0a\x02\xff\xff"):
            with pytest.raises(grpc.RpcError, match="not a PredictRequest") as caught:
                send(data, timeout=10)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_signature_is_named(server: PredictionServer) -> None:
    request = predict_request()
    request.model_spec.signature_name = "second_sight"
    with pytest.raises(grpc.RpcError, match="'second_sight': there is only serving_default and first_sight"):
        call(server.endpoint, wire.PREDICT, request)


def test_many_rows_in_one_request_and_in_parts(server: PredictionServer) -> None:
    pairs = some_pairs(9000)
    with (
        TensorFlowServingScorer(endpoint=server.endpoint, timeout_seconds=60, batch_rows=9000) as whole,
        TensorFlowServingScorer(endpoint=server.endpoint, timeout_seconds=60, batch_rows=1000) as parts,
    ):
        np.testing.assert_array_equal(whole.score(pairs).values, parts.score(pairs).values)


def test_memory_in_daily_use() -> None:
    with prediction_server() as running, TensorFlowServingScorer(endpoint=running.endpoint) as scorer:
        memory = psutil.Process(running.process.pid).memory_info
        for _ in range(10):
            scorer.score(some_pairs(4096, alike=1 / 6))
        assert memory().rss < 220e6
        # All of them worth every check: a burst of copies.
        for _ in range(10):
            scorer.score(some_pairs(4096))
        assert memory().rss < 600e6


def test_the_client_says_who_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{unused.getsockname()[1]}"
        with TensorFlowServingScorer(endpoint=endpoint) as scorer:
            with pytest.raises(ScorerUnavailableError, match=endpoint):
                scorer.score(some_pairs(2))
            with pytest.raises(ScorerUnavailableError, match="UNAVAILABLE"):
                scorer.served_version()


def test_the_client_tells_the_operators_faults_from_outages(server: PredictionServer) -> None:
    wrong = PairBatch.of_pairs(
        probes=np.ones((2, 5), np.float32), candidates=np.ones((2, 5), np.float32), overlap=np.ones(2, np.int32)
    )
    with TensorFlowServingScorer(endpoint=server.endpoint) as scorer, pytest.raises(ConfigError, match="wanted"):
        scorer.score(wrong)
    with (
        TensorFlowServingScorer(endpoint=server.endpoint, model_name="other") as scorer,
        pytest.raises(ScorerUnavailableError, match="model 'other' is not served"),
    ):
        scorer.score(some_pairs(2))


def test_a_server_that_hangs_is_an_outage() -> None:
    with prediction_server() as running:
        with TensorFlowServingScorer(endpoint=running.endpoint, timeout_seconds=0.5) as scorer:
            running.process.send_signal(signal.SIGSTOP)
            with pytest.raises(ScorerUnavailableError, match="DEADLINE_EXCEEDED"):
                scorer.score(some_pairs(2))
        running.process.send_signal(signal.SIGCONT)


def test_the_client_outlives_a_killed_server() -> None:
    with prediction_server() as first:
        port = int(first.endpoint.rsplit(":", 1)[1])
        with TensorFlowServingScorer(endpoint=first.endpoint, timeout_seconds=30) as scorer:
            before = scorer.score(some_pairs(4)).values
            first.process.kill()
            first.process.wait()
            with pytest.raises(ScorerUnavailableError):
                scorer.score(some_pairs(4))
            with prediction_server(port=port):
                deadline = time.monotonic() + 30
                while True:
                    try:
                        after = scorer.score(some_pairs(4)).values
                        break
                    except ScorerUnavailableError:
                        assert time.monotonic() < deadline
                        time.sleep(0.05)
            np.testing.assert_array_equal(before, after)


def test_sigterm_ends_it_cleanly() -> None:
    with prediction_server() as running:
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=20) == 0


def test_the_newest_version_is_served(tmp_path: Path) -> None:
    for version in (3, 12):
        copy_version(tmp_path, version)
    copy_version(tmp_path, 15).rename(tmp_path / "notes")
    (tmp_path / "20").mkdir()
    with prediction_server(model_dir=tmp_path) as running:
        assert call(running.endpoint, wire.PREDICT, predict_request()).model_spec.version.value == 12


def refused(*arguments: str) -> str:
    command = [sys.executable, "-m", "scorer.server", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_reasons_not_to_start(server: PredictionServer, tmp_path: Path) -> None:
    assert "no model:" in refused("--port", "0", "--model-dir", str(tmp_path))
    (copy_version(tmp_path, 1) / "model.onnx").write_bytes(b"not a model")
    assert "not a model onnxruntime can load" in refused("--port", "0", "--model-dir", str(tmp_path))
    assert "cannot listen" in refused("--port", server.endpoint.rsplit(":", 1)[1])


def test_neither_tensorflow_nor_the_project_weighs_it_down() -> None:
    program = (
        "import sys, scorer.server; print(sorted({'tensorflow', 'PIL', 'scipy', 'kafka', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
