"""The file of an LSH model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neardup.errors import ConfigError
from neardup.fitting.fit import fit
from neardup.fitting.model import FittedModel
from neardup.lsh import LshModel
from tests.unit.fitting.made_up import DIMENSION, embeddings
from tests.unit.fitting.test_fit import NO_PAIRS, model_of

SAMPLE, PAIRS = embeddings()
MODEL = model_of(fit(SAMPLE, PAIRS, dimension=24))


def test_a_model_comes_back_and_cuts_the_same_terms(tmp_path: Path) -> None:
    MODEL.save(tmp_path / "model.npz")
    loaded = FittedModel.load(tmp_path / "model.npz")
    assert (loaded.lsh_dimension, loaded.score_dimension, loaded.origin) == (DIMENSION, 8, "a test")
    assert loaded.lsh.version == MODEL.lsh.version
    np.testing.assert_array_equal(loaded.lsh.codes(SAMPLE), MODEL.lsh.codes(SAMPLE))
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


@pytest.mark.parametrize(
    "other",
    [
        replace(MODEL, embeddings="other"),
        replace(MODEL, score_dimension=9),
        replace(MODEL, tables=33),
        replace(MODEL, bits_per_table=9),
        replace(MODEL, seed=1),
        replace(MODEL, projection=fit(SAMPLE, NO_PAIRS, dimension=24)),
        replace(MODEL, words=4),
    ],
    ids=["embeddings", "score dimension", "tables", "bits", "seed", "projection", "words"],
)
def test_different_models_never_meet(other: FittedModel) -> None:
    assert other.lsh.version != MODEL.lsh.version


def test_where_it_came_from_changes_no_term() -> None:
    assert replace(MODEL, origin="elsewhere").lsh.version == MODEL.lsh.version


def test_one_image_and_many_get_the_same_terms_whatever_their_length() -> None:
    many = MODEL.lsh.codes(SAMPLE[:50])
    one_by_one = np.concatenate([MODEL.lsh.codes(row[None]) for row in SAMPLE[:50]])
    assert (many == one_by_one).mean() > 0.999
    np.testing.assert_array_equal(MODEL.lsh.codes(SAMPLE * np.float32(2**60)), MODEL.lsh.codes(SAMPLE))
    np.testing.assert_array_equal(MODEL.lsh.query_codes(SAMPLE, probes=1)[:, :, 0], MODEL.lsh.codes(SAMPLE))


def test_words_come_back(tmp_path: Path) -> None:
    with_words = replace(MODEL, words=4)
    with_words.save(tmp_path / "model.npz")
    loaded = FittedModel.load(tmp_path / "model.npz")
    assert (loaded.words, loaded.lsh.words, loaded.lsh_dimension) == (4, 4, DIMENSION + 8)
    assert loaded.lsh.version == with_words.lsh.version


def test_a_file_of_the_time_before_words_is_read(tmp_path: Path) -> None:
    MODEL.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as stored:
        parts = {name: part for name, part in stored.items() if name != "words"}
    np.savez(tmp_path / "old.npz", **parts)
    assert FittedModel.load(tmp_path / "old.npz").lsh.version == MODEL.lsh.version


def test_a_projection_of_another_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension: 7, the projection is for 48"):
        LshModel(dimension=7, embedding_version="e", projection=MODEL.projection)


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "model.npz"
    with pytest.raises(ConfigError, match=r"cannot read .*model\.npz"):
        FittedModel.load(file)
    file.write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"cannot read .*model\.npz"):
        FittedModel.load(file)
    np.savez(file, embeddings=SAMPLE)
    with pytest.raises(ConfigError, match="was not written by neardup fit"):
        FittedModel.load(file)
    MODEL.save(file)
    with np.load(file) as stored:
        parts = dict(stored)
    np.savez(file, **(parts | {"format": np.array(99)}))
    with pytest.raises(ConfigError, match="has another format"):
        FittedModel.load(file)
    np.savez(file, **{name: part for name, part in parts.items() if name != "seed"})
    with pytest.raises(ConfigError, match="is damaged"):
        FittedModel.load(file)
    np.savez(file, **(parts | {"mean": parts["mean"] * 2}))
    with pytest.raises(ConfigError, match="was altered: it says"):
        FittedModel.load(file)
    with pytest.raises(ConfigError, match="cannot write"):
        MODEL.save(tmp_path / "missing" / "model.npz")
