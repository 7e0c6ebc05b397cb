import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from neardup.crashpoints import CRASH_POINTS, VARIABLE, parse
from neardup.errors import ConfigError

ROOT = Path(__file__).parents[3]
STAGES = ("indexer", "graph", "neardup", "query", "scorer", "opensearch_templates")
PROGRAM = """
from neardup.crashpoints import crash_point
for number in range(5):
    crash_point("assign.after-send")
    crash_point("assign.after-commit")
    print(number, flush=True)
"""


def test_every_point_is_in_the_code_once() -> None:
    places = [
        name
        for stage in STAGES
        for file in (ROOT / stage).rglob("*.py")
        for name in re.findall(r'crash_point\("([^"]+)"\)', file.read_text())
    ]
    assert sorted(places) == sorted(CRASH_POINTS)


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | variables, capture_output=True, text=True, check=False
    )


def test_without_the_variable_nothing_happens() -> None:
    ended = run()
    assert (ended.returncode, ended.stdout) == (0, "0\n1\n2\n3\n4\n")


def test_the_process_dies_at_the_named_pass_of_the_named_point() -> None:
    ended = run(**{VARIABLE: "assign.after-commit:3"})
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "0\n1\n")


@pytest.mark.parametrize("value", ["", "assign.after-commit", "assign.after-commit:", "assign.after-commit:0", "no:1"])
def test_a_misspelt_point_is_said(value: str) -> None:
    with pytest.raises(ConfigError, match=r"is not NAME:PASS; the names are join\.before-write, "):
        parse(value)


def test_a_point_is_read() -> None:
    assert parse("join.before-write:12") == ("join.before-write", 12)
