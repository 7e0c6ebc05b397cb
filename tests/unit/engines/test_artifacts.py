import hashlib
import json
from pathlib import Path

import pytest

from neardup.engines.artifacts import load_lock, parse_lock, sha256_of
from neardup.errors import ConfigError

GOOD = {"path": "org/a/1/a-1.jar", "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}


def line(**changes: object) -> str:
    return json.dumps(GOOD | changes)


def test_lock_lines_become_artifacts() -> None:
    (artifact,) = parse_lock(f"{line()}\n\n", name="x")
    assert artifact.cached(Path("/c")) == Path("/c/maven/org/a/1/a-1.jar")
    assert (artifact.size, artifact.sha256) == (3, GOOD["sha256"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "needs a JSON object"),
        ("[1]", "needs a JSON object"),
        ('{"path": "a"}', "needs a JSON object"),
        (line(size=0), "size must be"),
        (line(size="3"), "size must be"),
        (line(sha256="abc"), "sha256 must be"),
        (line(sha256="G" * 64), "sha256 must be"),
        (line(path="/etc/passwd"), "path must be relative"),
        (line(path="org/../../x"), "path must be relative"),
    ],
)
def test_bad_line_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"kafka.lock line 2: {problem}"):
        parse_lock(f"{line()}\n{text}", name="kafka")


@pytest.mark.parametrize(("name", "count"), [("opensearch", 1), ("kafka", 46), ("janusgraph", 70)])
def test_shipped_locks_are_whole(name: str, count: int) -> None:
    artifacts = load_lock(name)
    assert len({artifact.path for artifact in artifacts}) == count
    assert all(artifact.path.endswith((".jar", ".zip")) for artifact in artifacts)


def test_checksum(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_of(tmp_path / "f") == GOOD["sha256"]
