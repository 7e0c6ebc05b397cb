"""Samples of embeddings as users have them: read and checked. What is wrong is said with the name of the sample and
the row, column or line."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from neardup.errors import ConfigError, InvalidMessageError
from neardup.fitting.fit import Rows
from neardup.types import Vector
from neardup.words import check_words

__all__ = ["LEAST_ROWS", "Sample", "check_lsh", "check_score", "read_pairs", "read_sample", "without_words"]

LEAST_ROWS: Final = 200
_LEAST_PAIRS: Final = 50
_LARGEST_HALF: Final = 65_504.0
_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Embeddings (n, d), float32, of the images `ids` (n); `name` is what messages call it."""

    name: str
    embeddings: Vector
    ids: tuple[str, ...]


def read_sample(path: Path) -> Sample:
    """From .npy: an array (n, d). From .npz: the array `embeddings`, or the only one, and `ids` if there are. Without
    ids the images are called by their row numbers, from 0. Raises ConfigError."""
    try:
        stored: Any = np.load(path, allow_pickle=False)
        arrays = {"embeddings": stored} if isinstance(stored, np.ndarray) else _arrays(stored)
    except (OSError, ValueError, EOFError, BadZipFile) as exc:
        raise ConfigError(f"{path}: cannot be read as .npy or .npz: {exc}") from exc
    ids = arrays.pop("ids", None)
    array = arrays["embeddings"] if "embeddings" in arrays else next(iter(arrays.values()), None)
    if array is None or ("embeddings" not in arrays and len(arrays) > 1):
        raise ConfigError(f"{path}: which array holds the embeddings? Name it `embeddings`; there are: {_list(arrays)}")
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise ConfigError(f"{path}: embeddings are numbers (images, dimension), not {array.dtype} {array.shape}")
    if ids is not None and ids.shape != (len(array),):
        raise ConfigError(f"{path}: {len(array)} embeddings, but ids of shape {ids.shape}")
    names = tuple(map(str, range(len(array)) if ids is None else ids.tolist()))
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise ConfigError(f"{path}: the id {twice!r} comes more than once")
    with np.errstate(over="ignore"):
        # What is beyond float32 becomes infinite and is refused as such.
        return Sample(name=path.name, embeddings=array.astype(np.float32), ids=names)


def read_pairs(path: Path, sample: Sample) -> Rows:
    """Known near-duplicates from CSV, two ids a line, as row numbers (m, 2). A first line `a,b` is a heading. Raises
    ConfigError naming the line."""
    rows = {name: row for row, name in enumerate(sample.ids)}
    pairs = []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for number, line in enumerate(csv.reader(stream), start=1):
                if not line or (number == 1 and [cell.strip() for cell in line] == ["a", "b"]):
                    continue
                pairs.append(_pair(line, rows, f"{path}: line {number}", sample.name))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"{path}: cannot be read as CSV: {exc}") from exc
    if len(pairs) < _LEAST_PAIRS:
        raise ConfigError(f"{path}: {len(pairs)} pairs are too few: give {_LEAST_PAIRS} or more, or none at all")
    return np.array(pairs, dtype=np.intp)


def without_words(sample: Sample, words: int) -> Sample:
    """The sample without the words that its embeddings end with. Raises ConfigError naming the row whose are none."""
    if 2 * words >= sample.embeddings.shape[1]:
        raise ConfigError(f"--words: {words}, but {sample.name} has only {sample.embeddings.shape[1]} numbers an image")
    _check_finite(sample)
    for row, embedding in enumerate(sample.embeddings):
        try:
            check_words(embedding, words)
        except InvalidMessageError as exc:
            raise ConfigError(f"{sample.name}: row {row} ({sample.ids[row]}): {exc}") from exc
    return replace(sample, embeddings=sample.embeddings[:, : sample.embeddings.shape[1] - 2 * words])


def check_lsh(sample: Sample, *, dimension: int, allow_constant: bool) -> None:
    """Raises ConfigError unless a model with results of `dimension` can be fitted to it."""
    rows, columns = sample.embeddings.shape
    _check_finite(sample)
    if dimension > columns:
        raise ConfigError(f"--dimension: {dimension}, but {sample.name} has only {columns} numbers an image")
    if rows < (least := max(LEAST_ROWS, 2 * dimension)):
        raise ConfigError(f"{sample.name}: {rows} rows are too few for {dimension} dimensions: give {least} or more")
    _check_rows(sample)
    _check_columns(sample, allow_constant=allow_constant)


def check_score(score: Sample, lsh: Sample) -> None:
    """Raises ConfigError unless it is of the same images as `lsh`, and fit for the scorer."""
    if len(score.embeddings) != len(lsh.embeddings):
        raise ConfigError(
            f"{score.name} has {len(score.embeddings)} rows, {lsh.name} has {len(lsh.embeddings)}: both must be of the "
            "same images"
        )
    if score.ids != lsh.ids:
        row = next(number for number, ids in enumerate(zip(score.ids, lsh.ids, strict=True)) if ids[0] != ids[1])
        raise ConfigError(f"row {row} is {score.ids[row]!r} in {score.name} and {lsh.ids[row]!r} in {lsh.name}")
    _check_finite(score)
    beyond = np.flatnonzero(np.abs(score.embeddings).max(axis=1) > _LARGEST_HALF)
    if len(beyond):
        raise ConfigError(f"{_rows(score, beyond)}: beyond {_LARGEST_HALF:.0f}; scores are made from float16")


def _check_finite(sample: Sample) -> None:
    broken = np.flatnonzero(~np.isfinite(sample.embeddings).all(axis=1))
    if len(broken):
        raise ConfigError(f"{_rows(sample, broken)}: NaN or infinity (in float32)")


def _check_rows(sample: Sample) -> None:
    largest = np.abs(sample.embeddings).max(axis=1)
    zeros = np.flatnonzero(largest == 0)
    if len(zeros):
        raise ConfigError(f"{_rows(sample, zeros)}: all zeros, which has no direction")
    odd = np.flatnonzero((largest > 1e3 * np.median(largest)) | (largest < 1e-3 * np.median(largest)))
    if len(odd):
        raise ConfigError(
            f"{_rows(sample, odd)}: numbers a thousand times as large or small as those of the median row; are two "
            "kinds of embeddings mixed?"
        )


def _check_columns(sample: Sample, *, allow_constant: bool) -> None:
    values = sample.embeddings.astype(np.float64)
    spread = values.std(axis=0)
    constant = np.flatnonzero(spread <= 1e-6 * np.abs(values).max(axis=0))
    if len(constant) and not allow_constant:
        raise ConfigError(
            f"{_columns(sample, constant)}: the same in every row; if that is as it should be: --allow-constant-columns"
        )
    if len(constant) == len(spread):
        raise ConfigError(f"{sample.name}: all rows are the same")
    usual = float(np.median(np.delete(spread, constant)))
    loud = np.flatnonzero(spread > 1e3 * usual)
    if len(loud):
        raise ConfigError(
            f"{_columns(sample, loud)}: varies a thousand times as much as the median column and alone would decide "
            "all terms; scale the columns first"
        )


def _pair(line: Sequence[str], rows: dict[str, int], place: str, sample: str) -> tuple[int, int]:
    if len(line) != 2:
        raise ConfigError(f"{place}: {len(line)} fields; a pair is two ids")
    first, second = (cell.strip() for cell in line)
    for name in (first, second):
        if name not in rows:
            raise ConfigError(f"{place}: {name!r} is no image of {sample}")
    if first == second:
        raise ConfigError(f"{place}: {first!r} is paired with itself")
    return rows[first], rows[second]


def _arrays(stored: Any) -> dict[str, npt.NDArray[Any]]:
    with stored:
        return {name: stored[name] for name in stored.files}


def _rows(sample: Sample, numbers: npt.NDArray[np.intp]) -> str:
    return f"{sample.name}: {_few('row', [f'{number} ({sample.ids[number]})' for number in numbers[:_NAMED]], numbers)}"


def _columns(sample: Sample, numbers: npt.NDArray[np.intp]) -> str:
    return f"{sample.name}: {_few('column', [str(number) for number in numbers[:_NAMED]], numbers)}"


def _few(kind: str, shown: list[str], numbers: npt.NDArray[np.intp]) -> str:
    more = f" and {len(numbers) - len(shown)} more" if len(numbers) > len(shown) else ""
    return f"{kind}{'s' if len(numbers) > 1 else ''} {', '.join(shown)}{more}"


def _list(arrays: dict[str, Any]) -> str:
    return ", ".join(sorted(arrays)) or "none"
