import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neardup.cli.edits_run import make_copies
from neardup.edits.named import EDITS, HARD_EDITS
from neardup.errors import ConfigError
from neardup.evaluation.manifest import originals, read_manifest


@pytest.fixture
def pictures(tmp_path: Path) -> dict[Path, list[Path]]:
    """Two folders with two pictures each."""
    found: dict[Path, list[Path]] = {}
    for folder, seeds in ((tmp_path / "cats", (0, 1)), (tmp_path / "dogs", (2, 3))):
        folder.mkdir()
        for seed in seeds:
            pixels = np.random.default_rng(seed).integers(0, 255, (60, 80, 3)).astype(np.uint8)
            found.setdefault(folder, []).append(folder / f"{seed}.png")
            Image.fromarray(pixels).save(found[folder][-1])
    return found


def test_the_manifest_lists_what_was_written(pictures: dict[Path, list[Path]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = make_copies(pictures, out, hard=True, each=5, others=None, quiet=True)
    rows = read_manifest(Path(made["manifest"]))
    assert (made["pictures"], made["images"], made["failed"]) == (4, 24, [])
    assert len(rows) == len(list(out.rglob("*.*"))) - 1 == 24
    assert [row.source for row in rows[::6]] == ["cats", "cats", "dogs", "dogs"]
    assert len(originals(rows)) == 4
    assert len({row.edit for row in rows}) == 21
    with Path(made["manifest"]).open(newline="") as stream:
        difficulties = {row["edit"]: row["difficulty"] for row in csv.DictReader(stream)}
    assert difficulties == {"original": ""} | {edit.name: edit.difficulty for edit in EDITS[:20]}


def test_all_edits_and_the_same_every_time(pictures: dict[Path, list[Path]], tmp_path: Path) -> None:
    (folder, files), *_ = pictures.items()
    for out in ("one", "two"):
        made = make_copies({folder: files[:1]}, tmp_path / out, hard=True, each=None, others=files[1:], quiet=True)
        assert made["images"] == 1 + len(EDITS) + len(HARD_EDITS)
    for file in (tmp_path / "one").rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


def test_what_cannot_be_done(pictures: dict[Path, list[Path]], tmp_path: Path) -> None:
    folder = next(iter(pictures))
    broken = folder / "broken.png"
    broken.write_bytes(b"no image")
    made = make_copies(
        {folder: [broken, *pictures[folder]]}, tmp_path / "a", hard=False, each=1, others=None, quiet=True
    )
    assert [failed["path"] for failed in made["failed"]] == [str(broken)]
    assert made["images"] == 4
    with pytest.raises(ConfigError, match="not empty"):
        make_copies(pictures, tmp_path / "a", hard=False, each=1, others=None, quiet=True)
    with pytest.raises(ConfigError, match="none of the pictures"):
        make_copies({folder: [broken]}, tmp_path / "b", hard=False, each=1, others=None, quiet=True)
