from pathlib import Path

import pytest

from neardup.errors import ConfigError
from neardup.evaluation.manifest import Row, originals, read_manifest, write_manifest
from neardup.types import ImageId

HEADER = "path,source_id,edit\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "m.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_in_order_with_paths_relative_to_the_manifest(folder: Path) -> None:
    rows = read_manifest(write(folder, HEADER + "b.jpg,x,crop-60\na.jpg,x,\n\nc.jpg,y,original\n"))
    assert [(row.image_id, row.source_id, row.edit, row.difficulty) for row in rows] == [
        ("b.jpg", "x", "crop-60", "extreme"),
        ("a.jpg", "x", "original", ""),
        ("c.jpg", "y", "original", ""),
    ]
    assert rows[0].file == folder / "b.jpg"


def test_any_order_of_columns_a_byte_order_mark_and_other_columns(folder: Path) -> None:
    text = "\ufeffsource,edit, note ,difficulty,source_id,path\r\nweb,flip,nice,my own,x,a.jpg\r\n"
    (row,) = read_manifest(write(folder, text))
    assert (row.source, row.edit, row.difficulty, row.source_id) == ("web", "flip", "my own", "x")


def test_written_and_read(folder: Path) -> None:
    rows = [
        Row(image_id=ImageId("a.jpg"), file=folder / "a.jpg", source_id='x, "y"', source="s"),
        Row(image_id=ImageId("b.jpg"), file=folder / "b.jpg", source_id="ü", edit="flip", difficulty="easy"),
    ]
    write_manifest(folder / "m.csv", rows)
    assert read_manifest(folder / "m.csv") == rows


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no pictures"),
        (HEADER, "no pictures"),
        ("path,edit\na.jpg,flip\n", "line 1, column source_id: missing in the header"),
        ("path,path,source_id,edit\n", "line 1, column path: twice"),
        (HEADER + "a.jpg,x,\nmissing.jpg,x,flip\n", "line 3, column path: no such file: "),
        (HEADER + "a.jpg,,flip\n", "line 2, column source_id: empty"),
        (HEADER + ",x,flip\n", "line 2, column path: empty"),
        (HEADER + "a.jpg,x\n", "line 2, column edit: 2 cells where the header has 3"),
        (HEADER + "a.jpg,x,flip,1\n", "line 2, column 4 (none of that number): 4 cells"),
        (HEADER + "a.jpg,x,\n\nb.jpg,x,\na.jpg,x,\n", "line 5, column path: a.jpg is on line 2, too"),
        (HEADER + "a.jpg,x,fl\x00ip\n", "line 2"),
        (HEADER + 'a.jpg,"x"y,flip\n', "line 2: not CSV"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(folder: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_manifest(write(folder, text))
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(str(folder / "m.csv"))


def test_no_file_and_no_text(folder: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_manifest(folder / "other.csv")
    (folder / "m.csv").write_bytes(b"path,\xff\xfe\n")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        read_manifest(folder / "m.csv")


def test_without_an_original_the_first_picture_stands_in(folder: Path) -> None:
    rows = read_manifest(write(folder, HEADER + "a.jpg,x,flip\nb.jpg,y,flip\nc.jpg,y,original\n"))
    assert {source: row.image_id for source, row in originals(rows).items()} == {"x": "a.jpg", "y": "c.jpg"}
