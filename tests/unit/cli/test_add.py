"""Embedding many files: the bad ones have their reason, the others their embeddings."""

from pathlib import Path

import pytest

from neardup.cli.add import embed_files, read_image
from neardup.demo.corpus import sample_photos
from neardup.errors import InvalidImageError
from neardup.settings import DecodeSettings
from neardup.types import Embeddings
from tests.malformed import many_scans


def test_a_file_that_stalls_its_decoder_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_DECODE__TIMEOUT_SECONDS", "1")
    files = sample_photos()[:11]
    slow, text = tmp_path / "slow.jpg", tmp_path / "text.jpg"
    slow.write_bytes(many_scans(4096, 4000))
    text.write_text("no picture")
    found = dict(embed_files([slow, *files, text], "default"))
    assert found[slow] == "takes longer than 1 s to decode"
    assert str(found[text]).startswith("not an image in one of the formats")
    assert all(isinstance(found[file], Embeddings) for file in files)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    with file.open("wb") as stream:
        stream.truncate(5 * 2**30)
    with pytest.raises(InvalidImageError, match="larger than 100 MB"):
        read_image(file, DecodeSettings())
