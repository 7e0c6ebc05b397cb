"""Files of Maven repositories, pinned in the lock files of this package."""

import hashlib
import json
import string
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

from neardup.errors import ConfigError

__all__ = ["Artifact", "load_lock", "parse_lock", "sha256_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file. `path` is relative to the base URL of a Maven repository; `size` in bytes."""

    path: str
    size: int
    sha256: str

    def cached(self, cache: Path) -> Path:
        """Its place in the cache, laid out as the repository."""
        return cache / "maven" / self.path


def parse_lock(text: str, *, name: str) -> tuple[Artifact, ...]:
    """The artifacts of a lock file: one JSON object a line with path, size and sha256.

    Raises ConfigError naming the lock, the line and the problem; a path must stay inside the cache.
    """
    return tuple(
        _parse_line(line, where=f"{name}.lock line {number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    )


def load_lock(name: str) -> tuple[Artifact, ...]:
    """The shipped lock file `locks/NAME.lock`."""
    return parse_lock((files("neardup.engines") / "locks" / f"{name}.lock").read_text("utf-8"), name=name)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse_line(line: str, *, where: str) -> Artifact:
    try:
        row = json.loads(line)
        artifact = Artifact(path=row["path"], size=row["size"], sha256=row["sha256"])
    except (json.JSONDecodeError, KeyError, TypeError) as exc:
        raise ConfigError(f"{where}: needs a JSON object with path, size and sha256") from exc
    if not isinstance(artifact.size, int) or artifact.size <= 0:
        raise ConfigError(f"{where}: size must be a number of bytes above 0")
    if len(artifact.sha256) != 64 or set(artifact.sha256) - set(string.hexdigits.lower()):
        raise ConfigError(f"{where}: sha256 must be 64 lower-case hexadecimal digits")
    path = PurePosixPath(artifact.path)
    if path.is_absolute() or ".." in path.parts:
        raise ConfigError(f"{where}: path must be relative and without '..'")
    return artifact
