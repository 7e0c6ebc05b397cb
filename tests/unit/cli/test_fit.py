"""`neardup fit` and the setting that names its model."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from neardup.cli.main import cli
from neardup.cli.wiring import Wiring, check_embedder, load_fitted
from neardup.errors import ConfigError
from neardup.fitting.model import FittedModel
from neardup.settings import Settings, load_settings
from neardup.testing import DigestEmbedder
from tests.unit.fitting.made_up import DIMENSION, embeddings

SAMPLE, PAIRS = embeddings(400)
ADDRESSES = {
    "NEARDUP_KAFKA__BOOTSTRAP_SERVERS": "kafka:1",
    "NEARDUP_OPENSEARCH__URL": "http://search:1",
    "NEARDUP_JANUSGRAPH__URL": "ws://graph:1",
    "NEARDUP_REDIS__URL": "redis://cache:1",
    "NEARDUP_SCORER__ENDPOINT": "scorer:1",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "lsh.npy", SAMPLE)
    np.save(tmp_path / "score.npy", SAMPLE[:, :16])
    (tmp_path / "pairs.csv").write_text("\n".join(f"{a},{b}" for a, b in PAIRS))
    return tmp_path


def fit(folder: Path, *arguments: str, embeddings: str = "made-up.1") -> Result:
    given = ["--lsh", f"{folder}/lsh.npy", "--score", f"{folder}/score.npy", "--embeddings", embeddings]
    return CliRunner().invoke(cli, ["fit", *given, "--output", f"{folder}/model.npz", *arguments])


def test_it_writes_a_model_and_a_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_LSH__TABLES", "32")
    monkeypatch.setenv("NEARDUP_LSH__BITS_PER_TABLE", "8")
    done = fit(folder, "--pairs", f"{folder}/pairs.csv", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    model = FittedModel.load(folder / "model.npz")
    assert report["lsh_version"] == model.lsh.version
    assert (report["dimension"], report["projected_dimension"], report["score_dimension"]) == (DIMENSION, 48, 16)
    assert (report["rows"], report["pairs"], report["tables"], report["bits_per_table"]) == (800, 400, 32, 8)
    assert set(report["figures"]) == {"as given", "centred", "fitted"}
    assert report["balanced"] is True
    text = fit(folder).stdout
    assert "postings a query at 100 M" in text
    assert "recall at 1 M: made up, cosine 0.9" in text
    assert "without pairs recall is that of made-up copies" in text
    assert f"NEARDUP_LSH__MODEL={folder}/model.npz" in text


def test_words_at_the_end_are_no_directions(folder: Path) -> None:
    """The projection is that of the sample without them; copies are found by them."""
    plain = json.loads(fit(folder, "--pairs", f"{folder}/pairs.csv", "--json").stdout)
    without = FittedModel.load(folder / "model.npz")
    owner = np.arange(len(SAMPLE)) % 400
    words = np.stack([owner + 1, owner % 7 + 1] * 3, axis=1)
    words[:, 2] += 500
    words[:, 4:] = 0
    np.save(folder / "lsh.npy", np.concatenate([SAMPLE, words], axis=1).astype(np.float32))
    done = fit(folder, "--pairs", f"{folder}/pairs.csv", "--words", "3", "--json")
    assert done.exit_code == 0, done.output
    report, model = json.loads(done.stdout), FittedModel.load(folder / "model.npz")
    assert (report["dimension"], report["words"], model.lsh_dimension) == (DIMENSION + 6, 3, DIMENSION + 6)
    assert model.projection.digest == without.projection.digest
    assert model.lsh.version != without.lsh.version
    recall = [each["figures"]["as given"]["recall"]["known pairs"][1] for each in (plain, report)]
    assert recall[0] < recall[1]
    assert "terms of 12 bits and up to 3 words" in fit(folder, "--words", "3").stdout
    refused = fit(folder, "--words", "4")
    assert "lsh.npy: row 0 (0): embedding: [46] is" in str(refused.exception)
    assert "--words: 27, but lsh.npy has only 54 numbers an image" in str(fit(folder, "--words", "27").exception)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--from-topic",), 2, "takes the place of"),
        (("--dimension", "100"), 1, "--dimension: 100, but lsh.npy has only 48"),
        (("--pairs", "nowhere.csv"), 2, "does not exist"),
    ],
)
def test_what_cannot_be_fitted_is_refused_and_no_file_is_written(
    folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = fit(folder, *arguments)
    assert done.exit_code == code
    assert message in done.output + str(done.exception)
    assert not (folder / "model.npz").exists()


def test_the_name_of_the_embeddings_is_one_word(folder: Path) -> None:
    assert "must be one word" in fit(folder, embeddings="two words").output


def test_the_model_of_the_settings_decides_dimensions_shape_and_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARDUP_LSH__TABLES", "32")
    assert fit(folder).exit_code == 0
    monkeypatch.setenv("NEARDUP_LSH__MODEL", f"{folder}/model.npz")
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    wiring = Wiring(load_settings())
    model = FittedModel.load(folder / "model.npz")
    assert wiring.dimensions == (DIMENSION, 16)
    assert wiring.lsh.version == model.lsh.version
    assert wiring.index_names.lsh_version == model.lsh.version
    monkeypatch.delenv("NEARDUP_LSH__TABLES")
    assert Wiring(load_settings()).settings.lsh.tables == 32
    assert "unset it to fit another model" in str(fit(folder).exception)
    monkeypatch.setenv("NEARDUP_LSH__BITS_PER_TABLE", "9")
    with pytest.raises(ConfigError, match=r"^NEARDUP_LSH__BITS_PER_TABLE: 9, but the LSH model .* has 12; unset it"):
        Wiring(load_settings())


def test_an_embedder_that_makes_other_embeddings_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = DigestEmbedder(lsh_dimension=DIMENSION, score_dimension=16)
    assert fit(folder, embeddings=embedder.version).exit_code == 0
    monkeypatch.setenv("NEARDUP_LSH__MODEL", f"{folder}/model.npz")
    model = load_fitted(load_settings())
    assert model is not None
    check_embedder(embedder, model, name="digest")
    with pytest.raises(ConfigError, match=r"^NEARDUP_EMBEDDER: 'digest' makes embeddings digest-32-16 of 32 and 16 "):
        check_embedder(DigestEmbedder(), model, name="digest")
    with pytest.raises(ConfigError, match=r" of 48 \(4 words\) and 16 numbers, the LSH model is for .* of 48 and 16"):
        check_embedder(DigestEmbedder(lsh_dimension=DIMENSION, score_dimension=16, words=4), model, name="digest")


def test_without_a_model_nothing_changes() -> None:
    assert load_fitted(Settings()) is None
