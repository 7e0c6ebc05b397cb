"""The same scores from three servers and two clients: ours, TensorFlow with its official stubs, and pythie-serving."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from neardup.points.packing import BITS
from neardup.types import PairBatch, Vector
from scorer.calibration import CalibrationRecord, save
from scorer.client import TensorFlowServingScorer
from scorer.groups import grouped
from scorer.layout import MODEL_FILE, new_version, shipped_models
from scorer.network import AFTER_CONTENT
from scorer.onnx_network import network_of, save_graphs
from tests.models import a_network, copy_version
from tests.peers.environments import our_packages, pythie_python, train_python, with_our_packages
from tests.prediction_server import prediction_server

pytestmark = pytest.mark.integration

PEERS = Path(__file__).parents[2] / "peers"


@pytest.fixture(scope="module")
def train() -> Path:
    return train_python()


@pytest.fixture(scope="module")
def exported(train: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of versions that the command made."""
    folder = tmp_path_factory.mktemp("models")
    done = export(train, shipped_models(), folder)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["folder"] == str(folder / "neardup" / "1")
    assert made["difference"] < 1e-5
    assert made["pairs"] > 3000
    return folder / "neardup"


def export(python: Path, models: Path, folder: Path, version: int = 1) -> "subprocess.CompletedProcess[str]":
    command = [str(python), "-m", "neardup", "models", "export", "--version", str(version), "--json"]
    return subprocess.run(
        [*command, "--model-dir", str(models), "--to", str(folder)],
        env=with_our_packages(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@contextmanager
def running(python: Path, *arguments: str, **options: Any) -> Iterator[str]:
    """The endpoint of a server in another environment."""
    with subprocess.Popen(
        [str(python), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdigit()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def pairs() -> PairBatch:
    """From equal to unlike, so that all scores occur; enough for two questions."""
    rng = np.random.default_rng(7)
    apart = np.linspace(0, 3, 1200)[:, None]
    content = rng.normal(size=(1200, 256), scale=1 / 16)
    other = content + rng.normal(size=content.shape, scale=1 / 16) * apart
    packed = rng.integers(0, 2**BITS, (1200, AFTER_CONTENT))
    changed = np.where(rng.uniform(size=packed.shape) < apart / 3, rng.integers(0, 2**BITS, packed.shape), packed)
    return PairBatch.of_pairs(
        probes=np.concatenate([content, packed], axis=1).astype(np.float32),
        candidates=np.concatenate([other, changed], axis=1).astype(np.float32),
        overlap=rng.integers(0, 64, 1200).astype(np.int32),
    )


@pytest.fixture(scope="module")
def embedded() -> Vector:
    """What the embedded server says."""
    with prediction_server() as server, TensorFlowServingScorer(endpoint=server.endpoint, timeout_seconds=60) as scorer:
        scores = scorer.score(pairs()).values
        np.testing.assert_array_equal(scores, [*scorer.score(pairs().part(slice(900))).values, *scores[900:]])
    assert scores.min() < 0.01
    assert scores.max() > 0.99
    return scores


def test_tensorflow_serves_the_export_to_our_client(train: Path, exported: Path, embedded: Vector) -> None:
    server = str(PEERS / "tensorflow_server.py")
    with (
        running(train, server, str(exported)) as endpoint,
        TensorFlowServingScorer(endpoint=endpoint, timeout_seconds=60, batch_rows=400) as scorer,
    ):
        scores = scorer.score(pairs())
        assert scores.model_version == 1
        assert scorer.served_version() == 1
        assert np.abs(scores.values - embedded).max() < 1e-5


def test_the_official_stubs_ask_our_server(train: Path, exported: Path, embedded: Vector, tmp_path: Path) -> None:
    arrays, places = grouped(pairs())
    np.savez(tmp_path / "pairs.npz", allow_pickle=False, **arrays)
    with prediction_server(model_dir=exported) as server:
        command = [str(train), str(PEERS / "official_client.py"), server.endpoint, str(tmp_path / "pairs.npz")]
        answer = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)
    assert (answer["name"], answer["version"]) == ("neardup", 1)
    assert answer["probe"] == [-1, 1055]
    assert answer["states"] == [[1, "AVAILABLE"]]
    assert np.abs(np.array(answer["scores"]).ravel()[places] - embedded).max() < 1e-6


def test_pythie_serving_answers_our_client(embedded: Vector, tmp_path: Path) -> None:
    network = network_of(onnx.load(shipped_models() / "1" / MODEL_FILE))
    np.savez(
        tmp_path / "neardup.npz", **asdict(network.sight), trust=network.trust, start=network.start, sure=network.sure
    )
    (tmp_path / "metadata.json").write_text("{}")
    with (
        running(pythie_python(), str(PEERS / "pythie_server.py"), str(tmp_path), *our_packages()) as endpoint,
        TensorFlowServingScorer(endpoint=endpoint, timeout_seconds=60, batch_rows=400) as scorer,
    ):
        scores = scorer.score(pairs())
        assert scores.model_version == 1
        assert np.abs(scores.values - embedded).max() < 1e-5


def test_an_export_lies_beside_its_onnx_model(exported: Path) -> None:
    names = {path.name for path in (exported / "1").iterdir()}
    assert {"saved_model.pb", "variables", "model.onnx", "first_sight.onnx", "calibration.json"} <= names
    assert [path.name for path in exported.iterdir()] == ["1"]
    for name in ("model.onnx", "first_sight.onnx"):
        assert (exported / "1" / name).read_bytes() == (shipped_models() / "1" / name).read_bytes()


def test_a_scorer_of_another_dimension_is_exported(train: Path, tmp_path: Path) -> None:
    record = CalibrationRecord(model_version=7, match_threshold=0.9, head_bound=0.5, obtained="a test")
    with new_version(tmp_path / "models", 7) as folder:
        save_graphs(a_network(40, seed=3), folder)
        save(record, folder)
    done = export(train, tmp_path / "models", tmp_path / "out", version=7)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["difference"] < 1e-5
    assert (tmp_path / "out" / "neardup" / "7" / "saved_model.pb").is_file()


def test_other_models_are_not_exported(train: Path, tmp_path: Path) -> None:
    folder = copy_version(tmp_path / "models", 1)
    model = onnx.load(folder / MODEL_FILE)
    *_, node = (each for each in model.graph.node if each.op_type == "Sigmoid")
    node.op_type = "Tanh"
    onnx.save(model, folder / MODEL_FILE)
    done = export(train, tmp_path / "models", tmp_path / "out")
    assert done.returncode == 2
    assert "not a model that `neardup train scorer` made" in done.stderr
    assert not (tmp_path / "out" / "neardup" / "1").exists()
