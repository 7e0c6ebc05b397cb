"""Judged pairs from a file."""

from pathlib import Path

import pytest

from neardup.errors import ConfigError
from neardup.evaluation.pairs import JudgedPair, read_pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("x.jpg", "y.jpg"):
        (tmp_path / name).touch()
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "pairs.csv").write_text(text)
    return folder / "pairs.csv"


def test_pairs_in_the_order_of_the_file(folder: Path) -> None:
    path = written(folder, "who,a,b,link\nme,x.jpg,y.jpg,cannot-link\nme,y.jpg,y.jpg,must-link\n")
    x, y = folder / "x.jpg", folder / "y.jpg"
    assert read_pairs(path) == [JudgedPair(a=x, b=y, same=False), JudgedPair(a=y, b=y, same=True)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: no column a, b, link"),
        ("a,link\n", "line 1: no column b"),
        ("a,b,link\nx.jpg,y.jpg,same\n", "line 2: link: 'same' is neither must-link nor cannot-link"),
        ("a,b,link\nx.jpg,y.jpg,must-link\nx.jpg,z.jpg,must-link\n", r"line 3: b: .*z\.jpg is not a file"),
        ("a,b,link\nx.jpg\n", "line 2: link: None"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(folder: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_pairs(written(folder, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv"):
        read_pairs(tmp_path / "none.csv")
