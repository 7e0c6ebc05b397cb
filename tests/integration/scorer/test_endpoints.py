"""The client with several servers, with TLS, and which errors make it ask again."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from neardup.cli.builtin import tensorflow_serving_scorer
from neardup.errors import ConfigError, ScorerUnavailableError
from neardup.settings import ScorerSettings, Settings
from scorer import wire
from scorer.client import TensorFlowServingScorer
from scorer.endpoints import Tls
from scorer.layout import shipped_models
from scorer.server import PredictionService, serve
from scorer.versions import ModelVersions
from tests.models import copy_version
from tests.prediction_server import some_pairs

pytestmark = pytest.mark.integration


@dataclass
class Counted:
    """A real server that counts the Predicts that reach it; `code` is its answer instead of scores."""

    endpoint: str
    server: grpc.Server
    interceptor: "Counting"
    versions: ModelVersions


class Counting(grpc.ServerInterceptor):  # type: ignore[type-arg]
    def __init__(self) -> None:
        self.count = 0
        self.code: grpc.StatusCode | None = None
        self.hangs = threading.Event()
        self.hangs.set()

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        if details.method != wire.PREDICT.path:
            return continuation(details)
        self.count += 1
        self.hangs.wait(5)
        if self.code is None:
            return continuation(details)
        code = self.code

        def refuse(request: bytes, context: grpc.ServicerContext) -> None:
            context.abort(code, "as the test wants it")

        return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def counted(folder: Path | None = None) -> Iterator[Counted]:
    versions = ModelVersions(folder or shipped_models())
    versions.poll()
    service = PredictionService("neardup", versions)
    interceptor = Counting()
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[interceptor], options=[*wire.CHANNEL_OPTIONS])
    server.add_generic_rpc_handlers(service.handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Counted(f"127.0.0.1:{port}", server, interceptor, versions)
    finally:
        interceptor.hangs.set()
        server.stop(0).wait()


def unused_endpoint() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def two() -> Iterator[tuple[Counted, Counted]]:
    with counted() as first, counted() as second:
        yield first, second


def client(*endpoints: str, **options: Any) -> TensorFlowServingScorer:
    return TensorFlowServingScorer(endpoint=", ".join(endpoints), **{"timeout_seconds": 20, **options})


def test_the_endpoints_take_turns(two: tuple[Counted, Counted]) -> None:
    with client(*(each.endpoint for each in two)) as scorer:
        for _ in range(10):
            scorer.score(some_pairs(3))
        assert [each.interceptor.count for each in two] == [5, 5]
    with client(*(each.endpoint for each in two), batch_rows=8) as scorer:
        scorer.score(some_pairs(80))
        assert [each.interceptor.count for each in two] == [10, 10]


def test_one_that_is_not_there_is_passed_over(two: tuple[Counted, Counted]) -> None:
    first, second = two
    with client(first.endpoint, unused_endpoint(), second.endpoint, batch_rows=16) as scorer:
        whole = scorer.score(some_pairs(200)).values
        first.server.stop(0).wait()
        for _ in range(4):
            np.testing.assert_array_equal(scorer.score(some_pairs(200)).values, whole)
            assert scorer.served_version() == 1
        second.server.stop(0).wait()
        with pytest.raises(ScorerUnavailableError, match="UNAVAILABLE"):
            scorer.score(some_pairs(200))
        with pytest.raises(ScorerUnavailableError, match="UNAVAILABLE"):
            scorer.served_version()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, ConfigError),
        (grpc.StatusCode.NOT_FOUND, ScorerUnavailableError),
        (grpc.StatusCode.INTERNAL, ScorerUnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ScorerUnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, ScorerUnavailableError),
    ],
)
def test_these_answers_are_final(two: tuple[Counted, Counted], code: grpc.StatusCode, error: type[Exception]) -> None:
    first, second = two
    first.interceptor.code = code
    with client(first.endpoint) as scorer, pytest.raises(error, match="as the test wants it"):
        scorer.score(some_pairs(3))
    with client(first.endpoint, second.endpoint) as scorer, pytest.raises(error, match="as the test wants it"):
        scorer.score(some_pairs(3))
    assert [each.interceptor.count for each in two] == [2, 0]


def test_the_only_server_is_asked_again_when_it_is_unavailable(two: tuple[Counted, Counted]) -> None:
    first, second = two
    first.interceptor.code = grpc.StatusCode.UNAVAILABLE
    with client(first.endpoint) as scorer, pytest.raises(ScorerUnavailableError, match="as the test wants it"):
        scorer.score(some_pairs(3))
    assert first.interceptor.count == 4
    with client(first.endpoint, second.endpoint) as scorer:
        scorer.score(some_pairs(3))
    assert [each.interceptor.count for each in two] == [5, 1]


def test_one_that_hangs_costs_one_deadline(two: tuple[Counted, Counted]) -> None:
    first, second = two
    with client(first.endpoint, second.endpoint, batch_rows=16, timeout_seconds=2) as scorer:
        scorer.score(some_pairs(64))
        first.interceptor.hangs.clear()
        begun = time.monotonic()
        with pytest.raises(ScorerUnavailableError, match="DEADLINE_EXCEEDED"):
            scorer.score(some_pairs(64))
        assert time.monotonic() - begun < 4
        for _ in range(3):
            scorer.score(some_pairs(64))
        assert time.monotonic() - begun < 6


def test_servers_of_different_versions_never_mix_in_a_some_pairs(tmp_path: Path) -> None:
    for number in (1, 2):
        copy_version(tmp_path / str(number), number, bias=float(number))
    with ExitStack() as stack:
        servers = [stack.enter_context(counted(tmp_path / str(number))) for number in (1, 2)]
        scorer = stack.enter_context(client(*(each.endpoint for each in servers), batch_rows=16))
        # Alone, each says what its scores are.
        many = some_pairs(1200, alike=0.1)
        alone = {}
        for number, each in enumerate(servers, start=1):
            with client(each.endpoint) as direct:
                alone[number] = [direct.score(pairs).values for pairs in (some_pairs(100), many)]
        for _ in range(6):
            for place, pairs in enumerate((some_pairs(100), many)):
                scores = scorer.score(pairs)
                np.testing.assert_array_equal(scores.values, alone[scores.model_version][place])


def test_two_questions_give_the_scores_of_one(two: tuple[Counted, Counted]) -> None:
    pairs = some_pairs(1600, alike=0.3)
    with client(two[0].endpoint) as scorer, client(two[1].endpoint) as few:
        together = scorer.score(pairs).values
        apart = [few.score(pairs.part(np.arange(start, start + 800))).values for start in (0, 800)]
    np.testing.assert_array_equal(together, np.concatenate(apart))
    assert [each.interceptor.count for each in two] == [2, 2]


def test_a_model_without_a_first_sight_is_asked_once(tmp_path: Path) -> None:
    pairs = some_pairs(1600, alike=0.3)
    (copy_version(tmp_path, 1) / "first_sight.onnx").unlink()
    with counted(tmp_path) as server, counted() as other, client(server.endpoint) as scorer:
        with client(other.endpoint) as usual:
            np.testing.assert_array_equal(scorer.score(pairs).values, usual.score(pairs).values)
        assert server.interceptor.count == 1


def test_what_is_offered_may_change(tmp_path: Path) -> None:
    """A version without the first signature takes the place of one with it, and the other way round."""
    pairs = some_pairs(1600, alike=0.3)
    copy_version(tmp_path, 1)
    with counted(tmp_path) as server, client(server.endpoint) as scorer:
        before = scorer.score(pairs)
        (copy_version(tmp_path, 2, bias=1.0) / "first_sight.onnx").unlink()
        server.versions.poll()
        without = [scorer.score(pairs) for _ in range(2)]
        copy_version(tmp_path, 3)
        server.versions.poll()
        counts = []
        for _ in range(3):
            asked = server.interceptor.count
            np.testing.assert_array_equal(scorer.score(pairs).values, before.values)
            counts.append(server.interceptor.count - asked)
    assert [scores.model_version for scores in (before, *without)] == [1, 2, 2]
    assert (without[0].values > before.values).all()
    # The first answer tells that another version is there; from then on there are two questions again.
    assert counts == [1, 2, 2]


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION])
def test_a_first_question_that_is_refused_is_not_the_last(code: grpc.StatusCode) -> None:
    pairs = some_pairs(1600, alike=0.3)
    with counted() as server, client(server.endpoint) as scorer:
        before = scorer.score(pairs).values
        server.interceptor.code = code
        with pytest.raises((ConfigError, ScorerUnavailableError), match="as the test wants it"):
            scorer.score(pairs)
        server.interceptor.code = None
        np.testing.assert_array_equal(scorer.score(pairs).values, before)


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


@dataclass(frozen=True)
class Files:
    certificate: Path
    key: Path


def self_signed(folder: Path, name: str) -> Files:
    files = Files(folder / f"{name}.pem", folder / f"{name}.key")
    # fmt: off
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", str(files.key), "-out", str(files.certificate),
    )
    # fmt: on
    return files


def test_tls(tmp_path: Path) -> None:
    ours, theirs, other = (self_signed(tmp_path, name) for name in ("client", "server", "other"))
    credentials = grpc.ssl_server_credentials(
        [(theirs.key.read_bytes(), theirs.certificate.read_bytes())],
        root_certificates=ours.certificate.read_bytes(),
        require_client_auth=True,
    )
    versions = ModelVersions(shipped_models())
    versions.poll()
    server, port = serve(PredictionService("neardup", versions), "127.0.0.1:0", credentials=credentials)
    endpoint = f"127.0.0.1:{port}"
    try:
        settings = ScorerSettings(
            endpoint=endpoint,
            tls=True,
            tls_ca_file=theirs.certificate,
            tls_cert_file=ours.certificate,
            tls_key_file=ours.key,
            timeout_seconds=20,
        )
        scorer = tensorflow_serving_scorer(Settings(scorer=settings))
        assert isinstance(scorer, TensorFlowServingScorer)
        with scorer:
            assert scorer.score(some_pairs(9)).model_version == 1
        stranger = Tls(ca_file=theirs.certificate, cert_file=other.certificate, key_file=other.key)
        for wrong in (None, Tls(), Tls(ca_file=theirs.certificate), Tls(ca_file=other.certificate), stranger):
            with client(endpoint, tls=wrong) as refused, pytest.raises(ScorerUnavailableError, match="UNAVAILABLE"):
                refused.score(some_pairs(9))
    finally:
        server.stop(0).wait()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TLS of the scorer: cannot read .*missing\.pem"):
        client("127.0.0.1:1", tls=Tls(ca_file=tmp_path / "missing.pem"))


def test_an_empty_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="endpoint of the scorer"):
        client("a:1", "", "b:2")
