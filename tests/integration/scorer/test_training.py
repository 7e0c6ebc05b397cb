"""Weights from pictures: the embedder's whitening, the scorer in Keras, its threshold, by the commands a user types."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from neardup.demo.corpus import sample_photos
from neardup.types import PairBatch
from scorer.calibration import load
from scorer.groups import grouped
from scorer.layout import MODEL_FILE, shipped_models
from scorer.onnx_network import network_of
from scorer.runtime import OnnxModel
from tests.models import copy_version
from tests.peers.environments import train_python, with_our_packages

pytestmark = pytest.mark.integration

PHOTOS = sample_photos()[0].parent


def neardup(*arguments: object, python: str = sys.executable, check: bool = True) -> "subprocess.CompletedProcess[str]":
    environment = with_our_packages() if python != sys.executable else dict(os.environ)
    return subprocess.run(
        [python, "-m", "neardup", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=check,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def learned(folder: Path) -> Sequence[object]:
    """Options that all trainings share: the photos, and what was learned of them before."""
    (folder / "none").mkdir()
    shared = [PHOTOS, "--cache", folder / "features", "--exclude", folder / "none", "--jobs", 2]
    made = neardup("train", "embedder", *shared, "--output", folder / "whitening.npz", "--json")
    assert json.loads(made.stdout)["pictures"] > 20
    return [*shared, "--whitening", folder / "whitening.npz", "--held-out", 5, "--epochs", 3]


@pytest.fixture(scope="module")
def trained(folder: Path, learned: Sequence[object]) -> Path:
    """The folder of versions that Keras made."""
    models = folder / "models" / "neardup"
    for version in (1, 2):
        arguments = ("train", "scorer", *learned, "--output", models, "--version", version, "--json")
        done = neardup(*arguments, python=str(train_python()))
    assert json.loads(done.stdout)["precision"] > 0.95
    return models


def test_the_scorer_learns_and_repeats(trained: Path) -> None:
    first, second = (trained / version for version in "12")
    assert (first / MODEL_FILE).read_bytes() == (second / MODEL_FILE).read_bytes()
    record = load(first)
    assert 0 < record.head_bound <= record.match_threshold < 1
    network = network_of(onnx.load(first / MODEL_FILE))
    for numbers in (network.sight.metric, network.sight.sign_weights, network.trust):
        assert (numbers >= 0).all()
    np.testing.assert_allclose(network.sight.sign_weights.sum(axis=0), 1, atol=1e-5)


def test_what_was_trained_is_what_is_served(trained: Path) -> None:
    rng = np.random.default_rng(3)
    probes = rng.normal(size=(300, 1055)).astype(np.float32)
    batch = PairBatch.of_pairs(
        probes=probes,
        candidates=probes + rng.normal(size=probes.shape).astype(np.float32) * 0.05,
        overlap=rng.integers(0, 64, 300).astype(np.int32),
    )
    arrays, places = grouped(batch)
    served = OnnxModel.load(trained / "1" / MODEL_FILE).run(arrays)["score"].ravel()[places]
    np.testing.assert_allclose(served, network_of(onnx.load(trained / "1" / MODEL_FILE)).score(batch), atol=1e-5)


def test_keras_and_tensorflow_serving_compute_the_same(trained: Path, folder: Path) -> None:
    arguments = ("models", "export", "--model-dir", trained, "--version", 1, "--to", folder / "exported", "--json")
    done = neardup(*arguments, python=str(train_python()))
    assert json.loads(done.stdout)["difference"] < 1e-5


def test_judged_pairs_are_learned_from(folder: Path, learned: Sequence[object]) -> None:
    photos = sample_photos()
    rows = [f"{photos[0]},{photos[1]},cannot-link", f"{photos[2]},{photos[2]},must-link"]
    (folder / "pairs.csv").write_text("\n".join(["a,b,link", *rows]))
    arguments = ("train", "scorer", *learned, "--output", folder / "judged", "--version", 1, "--json")
    done = neardup(*arguments, "--pairs", folder / "pairs.csv", python=str(train_python()))
    assert json.loads(done.stdout)["precision"] > 0.95
    assert (folder / "judged" / "1" / MODEL_FILE).is_file()


def test_training_says_that_it_needs_tensorflow(folder: Path, learned: Sequence[object]) -> None:
    done = neardup("train", "scorer", *learned, "--output", folder / "nowhere", "--version", 1, check=False)
    assert done.returncode == 2
    assert "pip install neardup[train]" in done.stderr


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Path:
    made = neardup("edits", PHOTOS, "--out", folder / "copies", "--each", 3, "--at-most", 14, "--json")
    return Path(json.loads(made.stdout)["manifest"])


def test_a_threshold_is_chosen_and_saved_as_a_new_version(manifest: Path, folder: Path, tmp_path: Path) -> None:
    copy_version(tmp_path / "models", 3)
    page = folder / "curves.html"
    arguments = ("calibrate", manifest, "--precision", 0.9, "--model-dir", tmp_path / "models", "--orders", 1)
    done = json.loads(neardup(*arguments, "--save-as", 4, "--html", page, "--json").stdout)
    chosen = done["chosen"]
    assert (done["model_version"], done["pictures"], done["images"]) == (3, 14, 56)
    assert chosen["precision_bound"] >= 0.9
    assert chosen["recall"] > 0.7
    record = load(tmp_path / "models" / "4")
    assert (record.match_threshold, record.head_bound) == (chosen["threshold"], chosen["head_bound"])
    model = tmp_path / "models" / "4" / MODEL_FILE
    assert model.read_bytes() == (tmp_path / "models" / "3" / MODEL_FILE).read_bytes()
    found = done["false_matches_a_probe"]
    assert 0 <= found["1000"]["expected"] <= found["1000"]["at_most"] < found["100000"]["at_most"]
    assert page.read_text().count("<polyline") >= 3
    again = neardup(*arguments, "--save-as", 4, check=False)
    assert again.returncode == 2
    assert "version 4 is already" in again.stderr


def test_without_a_threshold_nothing_is_saved(manifest: Path, tmp_path: Path) -> None:
    copy_version(tmp_path / "models", 3)
    arguments = ("calibrate", manifest, "--precision", 1, "--model-dir", tmp_path / "models", "--save-as", 4)
    done = neardup(*arguments, "--orders", 1, check=False)
    assert done.returncode == 1
    assert "no threshold holds the limits" in done.stdout
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["3"]


def test_a_manifest_of_one_picture_is_no_use(tmp_path: Path) -> None:
    photo = sample_photos()[0]
    (tmp_path / "one.csv").write_text(f"path,source_id,edit\n{photo},a,\n")
    done = neardup("calibrate", tmp_path / "one.csv", "--model-dir", shipped_models(), check=False)
    assert done.returncode == 2
    assert "at least two source_ids" in done.stderr
