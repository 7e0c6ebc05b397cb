"""Samples: what is wrong with them is said by name, row and column."""

from pathlib import Path

import numpy as np
import pytest

from neardup.errors import ConfigError
from neardup.fitting.sample import Sample, check_lsh, check_score, read_pairs, read_sample
from neardup.types import Vector
from tests.unit.fitting.made_up import DIMENSION, embeddings

GOOD = embeddings(400)[0][:400]


def sample_of(array: Vector, name: str = "lsh.npy") -> Sample:
    return Sample(name=name, embeddings=array, ids=tuple(map(str, range(len(array)))))


def changed(row: int, column: int | slice, value: float) -> Vector:
    array = GOOD.copy()
    array[row, column] = value
    return array


def scaled(column: int, factor: float) -> Vector:
    array = GOOD.copy()
    array[:, column] *= np.float32(factor)
    return array


def test_a_good_sample_is_accepted() -> None:
    check_lsh(sample_of(GOOD), dimension=48, allow_constant=False)
    check_score(sample_of(GOOD[:, :9], "score.npy"), sample_of(GOOD))


@pytest.mark.parametrize(
    ("array", "dimension", "message"),
    [
        (changed(17, 3, np.nan), 48, r"^lsh\.npy: row 17 \(17\): NaN or infinity"),
        (changed(17, 3, np.inf), 48, r"^lsh\.npy: row 17 \(17\): NaN or infinity"),
        (changed(5, slice(None), 0.0), 48, r"^lsh\.npy: row 5 \(5\): all zeros"),
        (changed(9, slice(None), 1e9), 48, r"^lsh\.npy: row 9 \(9\): numbers a thousand times"),
        (scaled(4, 0.0), 48, r"^lsh\.npy: column 4: the same in every row; .*--allow-constant-columns"),
        (scaled(4, 1e5), 48, "rows? .*thousand times|column 4: varies a thousand times"),
        (GOOD[:150], 48, "150 rows are too few for 48 dimensions: give 200 or more"),
        (np.tile(GOOD, (1, 6)), 256, "400 rows are too few for 256 dimensions: give 512 or more"),
        (GOOD, 49, r"^--dimension: 49, but lsh\.npy has only 48 numbers"),
        (np.ones_like(GOOD), 48, "columns 0, 1, 2, 3, 4 and 43 more: the same in every row"),
        (GOOD[:0], 48, "0 rows are too few"),
    ],
    ids=["nan", "infinity", "zeros", "long row", "constant", "loud", "few", "fewer", "dimension", "equal", "empty"],
)
def test_what_is_wrong_is_named(array: Vector, dimension: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_lsh(sample_of(array), dimension=dimension, allow_constant=False)


def test_constant_columns_can_be_allowed_but_not_only_constant_ones() -> None:
    check_lsh(sample_of(scaled(4, 0.0)), dimension=40, allow_constant=True)
    with pytest.raises(ConfigError, match="all rows are the same"):
        check_lsh(sample_of(np.ones_like(GOOD)), dimension=48, allow_constant=True)


def test_both_samples_must_be_of_the_same_images() -> None:
    lsh = sample_of(GOOD)
    with pytest.raises(ConfigError, match=r"score\.npy has 399 rows, lsh\.npy has 400"):
        check_score(sample_of(GOOD[:399], "score.npy"), lsh)
    other = Sample(name="score.npy", embeddings=GOOD, ids=("x", *lsh.ids[1:]))
    with pytest.raises(ConfigError, match=r"row 0 is 'x' in score\.npy and '0' in lsh\.npy"):
        check_score(other, lsh)
    with pytest.raises(ConfigError, match=r"score\.npy: row 3 \(3\): beyond 65504"):
        check_score(sample_of(changed(3, 0, 70_000), "score.npy"), lsh)


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GOOD.astype(np.float64))
    found = read_sample(tmp_path / "a.npy")
    assert (found.name, found.ids[:2], found.embeddings.dtype.name) == ("a.npy", ("0", "1"), "float32")
    np.savez(tmp_path / "b.npz", embeddings=GOOD, ids=np.array([f"p/{row}" for row in range(400)]))
    assert read_sample(tmp_path / "b.npz").ids[7] == "p/7"
    np.savez(tmp_path / "c.npz", whatever=GOOD)
    assert read_sample(tmp_path / "c.npz").embeddings.shape == (400, DIMENSION)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": GOOD, "b": GOOD}, "Name it `embeddings`; there are: a, b"),
        ({"embeddings": GOOD[0]}, r"not float32 \(48,\)"),
        ({"embeddings": np.array([["a"]])}, "not <U1"),
        ({"embeddings": GOOD, "ids": np.array(["a"])}, r"400 embeddings, but ids of shape \(1,\)"),
        ({"embeddings": GOOD[:2], "ids": np.array(["a", "a"])}, "the id 'a' comes more than once"),
        ({"embeddings": np.array([[object()]])}, "cannot be read"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        read_sample(tmp_path / "a.npz")


def test_a_file_that_is_no_array(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("1,2,3")
    with pytest.raises(ConfigError, match=r"a\.npy: cannot be read as \.npy or \.npz"):
        read_sample(tmp_path / "a.npy")


def test_pairs(tmp_path: Path) -> None:
    file, sample = tmp_path / "pairs.csv", sample_of(GOOD)
    lines = [f"{row},{row + 1}" for row in range(60)]
    file.write_text("a,b\n" + "\n".join(lines))
    assert read_pairs(file, sample).tolist()[:2] == [[0, 1], [1, 2]]
    for wrong, message in (
        ("0,1,2", "line 3: 3 fields"),
        ("0,nobody", r"line 3: 'nobody' is no image of lsh\.npy"),
        ("7,7", "line 3: '7' is paired with itself"),
    ):
        file.write_text("\n".join([*lines[:2], wrong, *lines[2:]]))
        with pytest.raises(ConfigError, match=message):
            read_pairs(file, sample)
    file.write_text("\n".join(lines[:9]))
    with pytest.raises(ConfigError, match="9 pairs are too few: give 50 or more"):
        read_pairs(file, sample)
