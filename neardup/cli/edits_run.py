"""What `neardup edits` does: pictures -> edited copies and their manifest."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from neardup.edits.backdrops import DRAWN, Backdrops, PictureBackdrops
from neardup.edits.named import EDITS, HARD_EDITS, Edit
from neardup.embedder.fence import process_fence
from neardup.errors import ConfigError, InvalidImageError
from neardup.evaluation.manifest import ORIGINAL, Row, write_manifest
from neardup.types import ImageId

__all__ = ["make_copies"]

_LONG_SIDE = 1280
"""Of the copies; larger pictures are made smaller first, as they are on the web. Originals stay as they are."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One picture and the numbers of its edits in (*EDITS, *HARD_EDITS); edits themselves cannot be sent."""

    picture: Path
    source: str
    source_id: str
    edits: tuple[int, ...]
    out: Path
    others: tuple[Path, ...]


def make_copies(
    pictures: Mapping[Path, Sequence[Path]],
    out: Path,
    *,
    hard: bool,
    each: int | None,
    others: Sequence[Path] | None,
    quiet: bool,
) -> dict[str, Any]:
    """`pictures`: folder -> its pictures. Raises ConfigError when `out` holds something."""
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: not empty; name a new folder")
    works = list(_plan(pictures, out, len(EDITS) + hard * len(HARD_EDITS), each, tuple(others or ())))
    rows: list[Row] = []
    failed: list[dict[str, str]] = []
    console = Console(stderr=True)
    with (
        ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console, disable=quiet) as progress,
    ):
        task = progress.add_task("pictures", total=len(works))
        for work, made in zip(works, pool.map(_make, works), strict=True):
            progress.advance(task)
            if isinstance(made, str):
                failed.append({"path": str(work.picture), "reason": made})
                progress.console.print(f"{work.picture}: {made}", style="red", soft_wrap=True, highlight=False)
            else:
                rows += made
    if not rows:
        raise ConfigError("none of the pictures can be read")
    manifest = out / "manifest.csv"
    write_manifest(manifest, rows)
    return {
        "pictures": len(works) - len(failed),
        "images": len(rows),
        "manifest": str(manifest),
        "failed": failed,
    }


def _plan(
    pictures: Mapping[Path, Sequence[Path]], out: Path, count: int, each: int | None, others: tuple[Path, ...]
) -> Iterator[_Work]:
    wanted = min(each or count, count)
    number, total = 0, sum(map(len, pictures.values()))
    for folder, found in pictures.items():
        for picture in found:
            # No two pictures share a backdrop if there are enough: on one, their copies would be alike to anybody.
            own = others[number::total] or others[number % max(1, len(others)) :][:1]
            chosen = tuple((number * wanted + k) % count for k in range(wanted))
            yield _Work(picture, folder.resolve().name, f"{number:05d}-{picture.stem}"[:80], chosen, out, own)
            number += 1


def _make(work: _Work) -> list[Row] | str:
    """The rows of the picture and its copies, or why it cannot be used."""
    data = work.picture.read_bytes()
    backdrops: Backdrops = PictureBackdrops(work.others) if work.others else DRAWN
    every = (*EDITS, *HARD_EDITS)
    try:
        image = process_fence().decode(data, side=_LONG_SIDE)
        copies = [
            (every[number], *every[number].apply_to_picture(image, work.picture.name, backdrops))
            for number in work.edits
        ]
    except InvalidImageError as exc:
        return str(exc)
    folder = work.out / work.source_id
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write(work, None, f"{ORIGINAL}{work.picture.suffix}", data),
        *(_write(work, edit, f"{edit.name}{suffix}", copy) for edit, suffix, copy in copies),
    ]


def _write(work: _Work, edit: Edit | None, name: str, data: bytes) -> Row:
    file = work.out / work.source_id / name
    file.write_bytes(data)
    return Row(
        image_id=ImageId(f"{work.source_id}/{name}"),
        file=file,
        source_id=work.source_id,
        edit=edit.name if edit else ORIGINAL,
        difficulty=edit.difficulty if edit else "",
        source=work.source,
    )
