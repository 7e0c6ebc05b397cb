"""`neardup demo`, as a newcomer runs it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from neardup.settings import LocalSettings
from tests.e2e.conftest import as_json

pytestmark = pytest.mark.e2e

Neardup = Callable[..., subprocess.CompletedProcess[str]]


def test_the_demo_finds_the_copies_and_merges_nothing_else(
    neardup: Neardup, tmp_path: Path, engines_local: LocalSettings
) -> None:
    sheet = tmp_path / "sheet.html"
    done = neardup("demo", "--json", "--sheet", str(sheet))
    log = (engines_local.home / "demo" / "worker.log").read_text(errors="replace")
    assert done.returncode == 0, f"{done.stderr}\n{log[-5000:]}"
    result = as_json(done)
    assert isinstance(result, dict)
    assert result["photos"] >= 60
    assert result["images"] == result["photos"] * 9
    assert result["precision"] == 1.0
    assert result["mixed_clusters"] == []
    assert result["edits_found"] >= 0.97
    assert result["recall"] >= 0.95

    text = sheet.read_text(encoding="utf-8")
    assert text.count("<figure") == result["images"]
    assert "http://" not in text
    assert "https://" not in text

    members = as_json(neardup("members", result["example"], "--limit", "4", "--json"))
    assert isinstance(members, dict)
    assert members["size"] == 9
    second = as_json(
        neardup("members", result["example"], "--limit", "100", "--after", str(members["after"]), "--json")
    )
    assert isinstance(second, dict)
    ids = [member["image_id"] for page in (members, second) for member in page["members"]]
    assert len(set(ids)) == len(ids) == 9

    exported = neardup("clusters", "export", "--json").stdout.splitlines()
    assert len(exported) == result["images"]
    assert len({json.loads(line)["head"] for line in exported}) == result["clusters"]


def test_help_is_there_for_every_command(neardup: Neardup) -> None:
    done = neardup("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout
