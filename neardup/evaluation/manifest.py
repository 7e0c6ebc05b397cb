"""The manifest of an evaluation: a CSV file that says of every picture what it was made from, and how."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from neardup.edits.named import EDITS, HARD_EDITS
from neardup.errors import ConfigError
from neardup.types import ImageId

__all__ = ["COLUMNS", "ORIGINAL", "Row", "originals", "read_manifest", "write_manifest"]

ORIGINAL: Final = "original"
COLUMNS: Final = ("path", "source_id", "edit", "difficulty", "source")
_NEEDED: Final = COLUMNS[:3]
_LARGEST_CELL: Final = 4096
_DIFFICULTIES: Final[Mapping[str, str]] = {edit.name: edit.difficulty for edit in (*EDITS, *HARD_EDITS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One picture. `image_id` is its path as written; pictures of one `source_id` show the same thing. `edit` is
    "original" for what the others were made from; `difficulty` and `source` (a collection) may be empty."""

    image_id: ImageId
    file: Path
    source_id: str
    edit: str = ORIGINAL
    difficulty: str = ""
    source: str = ""


def read_manifest(path: Path) -> list[Row]:
    """The pictures in the order of the file. Paths are relative to the manifest; other columns are left alone.

    A row without `edit` is an original; one without `difficulty` has that of the project's own edit of this name.
    Raises ConfigError naming line and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(_rows(path, stream))
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not text in UTF-8 (byte {exc.start})") from exc


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write what `read_manifest` reads; `image_id` is written as the path."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((row.image_id, row.source_id, row.edit, row.difficulty, row.source) for row in rows)


def originals(rows: Sequence[Row]) -> dict[str, Row]:
    """source_id -> its first original, or, where there is none, its first picture."""
    first: dict[str, Row] = {}
    for row in rows:
        known = first.get(row.source_id)
        if known is None or (known.edit != ORIGINAL and row.edit == ORIGINAL):
            first[row.source_id] = row
    return first


def _rows(path: Path, stream: Iterable[str]) -> Iterator[Row]:
    reader = csv.reader(stream, strict=True)
    header: list[str] | None = None
    lines: dict[str, int] = {}
    try:
        for cells in reader:
            if header is None:
                header = _header(path, cells)
            elif any(cells):
                row = _row(path, reader.line_num, header, cells)
                if row.image_id in lines:
                    raise _wrong(path, reader.line_num, "path", f"{row.image_id} is on line {lines[row.image_id]}, too")
                lines[row.image_id] = reader.line_num
                yield row
    except csv.Error as exc:
        raise ConfigError(f"{path}, line {reader.line_num}: not CSV: {exc}") from exc
    if not lines:
        raise ConfigError(f"{path}: no pictures; the first line must be {','.join(_NEEDED)}[,difficulty][,source]")


def _header(path: Path, cells: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    for name in _NEEDED:
        if name not in names:
            raise _wrong(path, 1, name, f"missing in the header, which has: {', '.join(names) or 'nothing'}")
    for name in COLUMNS:
        if names.count(name) > 1:
            raise _wrong(path, 1, name, "twice in the header")
    return names


def _row(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(header):
        missing = header[len(cells)] if len(cells) < len(header) else f"{len(header) + 1} (none of that number)"
        raise _wrong(path, line, missing, f"{len(cells)} cells where the header has {len(header)}")
    values: Mapping[str, str] = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    for name in COLUMNS:
        value = values.get(name, "")
        if not value and name in {"path", "source_id"}:
            raise _wrong(path, line, name, "empty")
        if len(value) > _LARGEST_CELL or not value.isprintable():
            raise _wrong(path, line, name, "too long, or with characters that cannot be printed")
    file = path.parent / values["path"]
    if not file.is_file():
        raise _wrong(path, line, "path", f"no such file: {file}")
    edit = values["edit"] or ORIGINAL
    return Row(
        image_id=ImageId(values["path"]),
        file=file,
        source_id=values["source_id"],
        edit=edit,
        difficulty=values.get("difficulty") or _DIFFICULTIES.get(edit, ""),
        source=values.get("source", ""),
    )


def _wrong(path: Path, line: int, column: str, what: str) -> ConfigError:
    return ConfigError(f"{path}, line {line}, column {column}: {what}")
