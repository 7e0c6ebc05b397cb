"""Precision where it is hard: 200 other pictures, series of look-alikes among them, none of them learned from."""

import hashlib
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from neardup.embedder.carve import images_in
from tests.e2e.conftest import as_json

pytestmark = pytest.mark.e2e

LIST = Path(__file__).with_name("lookalikes.txt")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of lookalikes.txt, taken out of Debian packages; nothing is installed."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            package, digest = line.split()
            wanted[package].add(digest)
    downloads, folder = tmp_path_factory.mktemp("debs"), tmp_path_factory.mktemp("pictures")
    apt = shutil.which("apt-get")
    assert apt is not None, "this test takes its pictures from Debian packages: it needs apt-get"
    if subprocess.run([apt, "download", "-qq", *wanted], cwd=downloads, capture_output=True, check=False).returncode:
        # The system's package lists are missing or old: fetch lists of our own, which needs no privileges.
        state = tmp_path_factory.mktemp("apt")
        (state / "lists" / "partial").mkdir(parents=True)
        own = ("-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::Cache={state}")
        subprocess.run([apt, *own, "update", "-qq"], check=True)
        subprocess.run([apt, *own, "download", "-qq", *wanted], cwd=downloads, check=True)
    for package, digests in wanted.items():
        (archive,) = downloads.glob(f"{package}_*.deb")
        for name, data in images_in(archive):
            digest = hashlib.sha256(data).hexdigest()
            if digest in digests:
                (folder / f"{digest[:16]}{Path(name).suffix.lower()}").write_bytes(data)
        archive.unlink()
    assert len(list(folder.iterdir())) == sum(map(len, wanted.values()))
    return folder


def test_look_alikes_stay_apart(
    neardup: Callable[..., subprocess.CompletedProcess[str]], pictures: Path, tmp_path: Path
) -> None:
    sheet = str(tmp_path / "sheet.html")
    result = as_json(neardup("demo", "--images", str(pictures), "--edits", "2", "--sheet", sheet, "--json"))
    assert isinstance(result, dict)
    assert result["photos"] >= 200
    # Two pieces of one puzzle merge in some orders of arrival, nothing else: docs/models.md, "The match threshold".
    assert result["precision"] >= 0.98
    assert result["edits_found"] >= 0.8
