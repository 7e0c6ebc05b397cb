"""Pairs of pictures that people judged, as a CSV file: what `neardup train scorer --pairs` learns from."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from neardup.errors import ConfigError

__all__ = ["JudgedPair", "read_pairs"]

_COLUMNS: Final = ("a", "b", "link")
_LINKS: Final = {"must-link": True, "cannot-link": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """Two files, and whether they show the same picture."""

    a: Path
    b: Path
    same: bool


def read_pairs(path: Path) -> list[JudgedPair]:
    """The pairs in the order of the file: columns `a` and `b`, paths relative to it, and `link`, must-link or
    cannot-link; others are left alone. Raises ConfigError naming line and column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(_pairs(path, csv.DictReader(stream)))
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not text in UTF-8 (byte {exc.start})") from exc
    except csv.Error as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def _pairs(path: Path, reader: "csv.DictReader[str]") -> Iterator[JudgedPair]:
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(f"{path}: line 1: no column {', '.join(missing)}")
    for row in reader:
        place = f"{path}: line {reader.line_num}"
        if row["link"] not in _LINKS:
            raise ConfigError(f"{place}: link: {row['link']!r} is neither must-link nor cannot-link")
        files = {name: path.parent / (row[name] or "") for name in ("a", "b")}
        for name, file in files.items():
            if not file.is_file():
                raise ConfigError(f"{place}: {name}: {file} is not a file")
        yield JudgedPair(a=files["a"], b=files["b"], same=_LINKS[row["link"]])
