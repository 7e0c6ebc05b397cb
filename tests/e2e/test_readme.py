"""The README's Python example, run as it stands."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from neardup.demo.corpus import sample_photos
from neardup.settings import LocalSettings

pytestmark = pytest.mark.e2e

README = Path(__file__).parents[2] / "README.md"


def test_the_example_answers_both_questions(
    neardup: Callable[..., subprocess.CompletedProcess[str]], engines_local: LocalSettings, tmp_path: Path
) -> None:
    found = re.search(r"<!-- example:python -->\n```python\n(.*?)```\n<!-- end -->", README.read_text(), re.DOTALL)
    assert found is not None
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(sample_photos()[3].read_bytes())
    assert neardup("add", str(photo), namespace="readme").returncode == 0
    assert neardup("worker", "--until-drained", "--json", namespace="readme").returncode == 0
    done = subprocess.run(
        [sys.executable, "-P", "-c", found.group(1)],
        env=os.environ | {"NEARDUP_LOCAL__HOME": str(engines_local.home), "NEARDUP_NAMESPACE": "readme"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"head: {photo} members: 1", str(photo)]
