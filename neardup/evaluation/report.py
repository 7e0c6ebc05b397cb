"""An evaluation as one HTML file that needs nothing else: figures, the worst misses and false merges as pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from neardup.embedder.decode import Decode, decode
from neardup.errors import InvalidImageError
from neardup.evaluation.judgement import Judgement, Miss
from neardup.evaluation.manifest import Row
from neardup.evaluation.thumbnails import thumbnail

__all__ = ["write_report"]

_MISSES = 60
_MISSES_AN_EDIT = 4
_MERGES = 30
_PICTURES_A_MERGE = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A row with its picture; `thumbnail` is empty for a file that cannot be decoded."""

    row: Row
    thumbnail: str


def write_report(
    path: Path,
    judgement: Judgement,
    *,
    facts: Sequence[tuple[str, str]],
    threshold: float,
    decode: Decode = decode,
) -> None:
    """`facts`: what to print above, name and value; `decode` reads the pictures. Of one edit only some misses are
    shown, so that all get room."""
    shown: dict[str, int] = {}
    misses: list[tuple[Miss, _Shown, _Shown]] = []
    for miss in judgement.misses:
        shown[miss.copy.edit] = shown.get(miss.copy.edit, 0) + 1
        if shown[miss.copy.edit] <= _MISSES_AN_EDIT and len(misses) < _MISSES:
            misses.append((miss, _shown(miss.copy, decode), _shown(miss.original, decode)))
    merges = [
        (merge, [_shown(row, decode) for row in merge.rows[:_PICTURES_A_MERGE]], len(merge.rows) - _PICTURES_A_MERGE)
        for merge in judgement.merges[:_MERGES]
    ]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (files("neardup.evaluation") / "report.html.j2").read_text(encoding="utf-8")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    text = template.render(
        judgement=judgement,
        facts=facts,
        threshold=threshold,
        misses=misses,
        merges=merges,
    )
    path.write_text(text, encoding="utf-8")


def _shown(row: Row, decode: Decode) -> _Shown:
    try:
        return _Shown(row=row, thumbnail=thumbnail(row.file, decode))
    except InvalidImageError:
        return _Shown(row=row, thumbnail="")
