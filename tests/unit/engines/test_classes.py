from pathlib import Path

import pytest

from neardup.engines.classes import keep


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cache" / "archives").mkdir(parents=True)
    (tmp_path / "kafka" / "archive").mkdir(parents=True)
    return tmp_path / "kafka"


def test_whole_archive_goes_into_the_cache(folder: Path, tmp_path: Path) -> None:
    (folder / "archive" / "kafka-1.jsa").write_bytes(b"\xf0\x0b\xab\xa8 classes")
    keep(folder, tmp_path / "cache")
    kept = tmp_path / "cache" / "archives" / "kafka-1.jsa"
    assert kept.read_bytes() == b"\xf0\x0b\xab\xa8 classes"
    assert kept.stat().st_mode & 0o777 == 0o644
    assert list((folder / "archive").iterdir()) == []


@pytest.mark.parametrize("cut", [b"", b"\0\0\0\0 classes"])
def test_archive_that_was_cut_off_is_thrown_away(folder: Path, tmp_path: Path, cut: bytes) -> None:
    (folder / "archive" / "kafka-1.jsa").write_bytes(cut)
    keep(folder, tmp_path / "cache")
    assert list((tmp_path / "cache" / "archives").iterdir()) == []
    assert list((folder / "archive").iterdir()) == []


def test_engine_without_an_archive(tmp_path: Path) -> None:
    keep(tmp_path / "redis", tmp_path / "cache")
