"""A running PredictionService follows its folder of versions."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from scorer import wire
from scorer.client import TensorFlowServingScorer
from tests.models import copy_version
from tests.prediction_server import prediction_server, some_pairs

pytestmark = pytest.mark.integration

OFTEN = ("--poll-seconds", "0.1")


def status(endpoint: str, version: int | None = None) -> list[tuple[int, int, int, str]]:
    request = wire.STATUS.request()
    request.model_spec.name = "neardup"
    if version is not None:
        request.model_spec.version.value = version
    with grpc.insecure_channel(endpoint) as channel:
        ask = channel.unary_unary(
            wire.STATUS.path,
            request_serializer=wire.STATUS.encode_request,
            response_deserializer=wire.STATUS.decode_response,
        )
        found: Any = ask(request, timeout=10).model_version_status
    return [(each.version, each.state, each.status.error_code, each.status.error_message) for each in found]


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_versions_come_and_go_while_requests_run(tmp_path: Path) -> None:
    """Every score is that of the version it carries, and no request fails."""
    copy_version(tmp_path, 1)
    pairs = some_pairs(1200, alike=0.1)
    seen: list[tuple[int, float]] = []
    done = threading.Event()
    with (
        prediction_server(model_dir=tmp_path, options=OFTEN) as running,
        TensorFlowServingScorer(endpoint=running.endpoint, batch_rows=64, timeout_seconds=30) as scorer,
    ):

        def ask() -> None:
            while not done.is_set():
                scores = scorer.score(pairs)
                seen.append((scores.model_version, float(scores.values.sum())))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            copy_version(tmp_path, 2, bias=1.0)
            until(lambda: scorer.served_version() == 2)
            (copy_version(tmp_path, 3) / "model.onnx").write_bytes(b"bad")
            until(lambda: status(running.endpoint)[0][:2] == (3, 50))
            time.sleep(0.3)
            assert scorer.served_version() == 2
            shutil.rmtree(tmp_path / "2")
            until(lambda: scorer.served_version() == 1)
            asked = len(seen)
            until(lambda: len(seen) > asked + 1)
        finally:
            done.set()
            asking.join()
        sums = {version: {total for number, total in seen if number == version} for version, _ in seen}
        assert sums.keys() == {1, 2}
        assert [len(totals) for totals in sums.values()] == [1, 1]
        assert sums[1] != sums[2]


def test_the_reason_of_a_refusal_is_in_the_status(tmp_path: Path) -> None:
    copy_version(tmp_path, 1)
    (copy_version(tmp_path, 2) / "model.onnx").write_bytes(b"bad")
    with prediction_server(model_dir=tmp_path, options=OFTEN) as running:
        refused, served = status(running.endpoint)
        assert refused[:3] == (2, 50, 13)
        assert "not a model onnxruntime can load" in refused[3]
        assert served == (1, 30, 0, "")
        assert status(running.endpoint, version=2) == [refused]
        with pytest.raises(grpc.RpcError, match="version 9") as caught:
            status(running.endpoint, version=9)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
