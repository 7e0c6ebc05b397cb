"""The short run of `make soak`, on the session's engines: the figures it prints are what is promised."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neardup.crashpoints import CRASH_POINTS
from neardup.settings import LocalSettings

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
CLEAN = {"lost": 0, "doubled": 0, "in_two_clusters": 0, "other_differences": 0, "failures": 0}


def soak(part: str, home: Path, folder: Path) -> dict[str, float]:
    """The figures of one part. The program is run as a user runs it, for it ends processes and engines."""
    file = folder / "figures.json"
    command = [sys.executable, "-m", "benchmarks.resilience", "--quick", "--only", part, "--home", str(home)]
    ended = subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures: dict[str, float] = json.loads(file.read_text())["figures"]
    return figures


def test_a_kill_at_every_crash_point(engines_local: LocalSettings, engines: object, tmp_path: Path) -> None:
    assert soak("crash", engines_local.home, tmp_path) == CLEAN | {"kills": len(CRASH_POINTS)}


def test_a_fault_of_every_kind(engines_local: LocalSettings, engines: object, tmp_path: Path) -> None:
    assert soak("faults", engines_local.home, tmp_path) == CLEAN | {"faults": 8}


def test_workers_come_and_go(engines_local: LocalSettings, engines: object, tmp_path: Path) -> None:
    figures = soak("scale", engines_local.home, tmp_path)
    assert figures.pop("takeover_seconds") > 0
    assert figures == CLEAN
