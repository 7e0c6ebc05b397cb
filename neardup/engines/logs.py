"""The log of an engine: where it is, what of it explains a failure."""

import re
from collections import deque
from pathlib import Path

__all__ = ["explanation", "log_file", "rotate", "tail"]

_LIMIT_BYTES = 10 << 20
_TELLING = re.compile(r"ERROR|FATAL|SEVERE|Exception|Caused by|Error:|rror occurred|[Ff]ailed|No space left|Traceback")
_STACK = re.compile(r"^\s+(at |\.\.\. \d+ more)")


def log_file(home: Path, name: str) -> Path:
    """The log of an engine."""
    return home / name / "engine.log"


def rotate(log: Path) -> int:
    """Put a log that has grown large aside; returns the size of what stays, in bytes."""
    size = log.stat().st_size if log.exists() else 0
    if size <= _LIMIT_BYTES:
        return size
    log.replace(log.with_suffix(".log.1"))
    return 0


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log, oldest first; none when there is no log."""
    if not log.exists():
        return []
    with log.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=lines)]


def explanation(log: Path, *, since: int, lines: int = 6) -> str:
    """The lines that most likely say why an engine failed, from those written after byte `since`."""
    if not log.exists():
        return "(it wrote no log)"
    with log.open("rb") as file:
        file.seek(since)
        written = file.read().decode("utf-8", errors="replace").splitlines()
    plain = [line for line in written if line.strip() and not _STACK.match(line)]
    telling = [line for line in plain if _TELLING.search(line)]
    chosen = (telling or plain)[-lines:]
    return "\n".join(f"    {line[:300]}" for line in chosen) or "(it wrote nothing to its log)"
