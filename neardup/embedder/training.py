"""Pictures for training: found, told apart, divided, copied with edits and turned into raw features, cached on disk.

The division is by picture and by nothing else: its sha256 says whether it trains the whitening, the sight of the scorer
or its trust in sight and points, sets the threshold or judges the result, so a picture never changes sides between runs
or commands.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final, Literal

import numpy as np

from neardup.edits.named import EDITS, varied_edit
from neardup.embedder.decode import FORMATS
from neardup.embedder.features import CONTENT_WIDTH, FEATURES_VERSION, RAW_WIDTHS, RawFeatures
from neardup.embedder.fence import process_fence
from neardup.embedder.whitening import Whitening, fit_projection
from neardup.errors import ConfigError, InvalidImageError
from neardup.points.axes import Axes
from neardup.types import Vector

__all__ = ["Picture", "Side", "copies_of", "distinct", "find_pictures", "fit_whitening", "originals_of", "picture_of"]

Side = Literal["whitening", "scorer", "trust", "calibration", "evaluation"]
Advance = Callable[[], object]

VARIED_COPIES: Final = 12
_SHARES: Final[tuple[tuple[int, Side], ...]] = ((45, "whitening"), (67, "scorer"), (75, "trust"), (87, "calibration"))
_SUFFIXES: Final = frozenset({".jpg", ".jpeg", *(f".{name.lower()}" for name in FORMATS)})
_LEAST_SIDE: Final = 96
_LONG_SIDE: Final = 512


@dataclass(frozen=True, slots=True)
class Picture:
    """A file, named by the sha256 of its bytes, and the given folder it was found in."""

    folder: Path
    path: Path
    sha256: str

    @property
    def side(self) -> Side:
        percent = int(self.sha256[:8], 16) % 100
        return next((side for bound, side in _SHARES if percent < bound), "evaluation")


def picture_of(path: Path) -> Picture:
    """A single file."""
    return Picture(path.parent, path, hashlib.sha256(path.read_bytes()).hexdigest())


def find_pictures(folders: Iterable[Path]) -> list[Picture]:
    """All files with an image's suffix, each content once, in the order of their sha256. Raises ConfigError for a
    folder that is not there."""
    found: dict[str, Picture] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder")
        for path in folder.rglob("*"):
            if path.suffix.lower() in _SUFFIXES and path.is_file():
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                found.setdefault(sha256, Picture(folder, path, sha256))
    return [found[sha256] for sha256 in sorted(found)]


def originals_of(pictures: Sequence[Picture], cache: Path, *, jobs: int, advance: Advance) -> dict[str, Vector]:
    """sha256 -> raw features, for the pictures that can be decoded and are not tiny or flat."""
    rows = _compute(_original, pictures, cache, jobs, advance)
    return {picture.sha256: row for picture, row in zip(pictures, rows, strict=True) if len(row)}


def copies_of(pictures: Sequence[Picture], cache: Path, *, jobs: int, advance: Advance) -> Vector:
    """Raw features of edited copies, shape (pictures, copies, width): varied edits for what trains, the fixed ones for
    what sets the threshold or judges."""
    return np.stack(_compute(_copies, pictures, cache, jobs, advance))


def distinct(raw: Vector, *, kept_out: Vector, limit: float = 0.72) -> list[int]:
    """Numbers of the rows of `raw` that resemble neither an earlier row nor one of `kept_out`.

    Resemblance is the cosine after the features' own main directions were made equal (plain whitening, no training).
    """
    both = np.concatenate([kept_out, raw])[:, :CONTENT_WIDTH].astype(np.float32)
    both -= both.mean(axis=0)
    _, spread, axes = np.linalg.svd(both, full_matrices=False)
    kept = min(200, len(spread) - 1)
    flat = (both @ axes[:kept].T) / np.sqrt(spread[:kept])
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    resembles = flat @ flat.T > limit
    chosen = list(range(len(kept_out)))
    for row in range(len(kept_out), len(flat)):
        if not resembles[row, chosen].any():
            chosen.append(row)
    return [row - len(kept_out) for row in chosen[len(kept_out) :]]


def fit_whitening(originals: Vector, copies: Vector) -> Whitening:
    """From raw features of pictures (n, width) and of their copies (n, copies, width)."""
    owner = np.repeat(np.arange(len(originals)), copies.shape[1])
    rows = copies.reshape(-1, copies.shape[-1])[:, :CONTENT_WIDTH]
    content = fit_projection(originals[:, :CONTENT_WIDTH], rows, owner, dimension=256, ridge=0.03, flatten=0.8)
    _, _, described, _ = np.split(originals, np.cumsum(RAW_WIDTHS)[:-1], axis=1)
    return Whitening(content, Axes.learn(described))


def _compute(
    work: Callable[[Picture, Path], Vector], pictures: Sequence[Picture], cache: Path, jobs: int, advance: Advance
) -> list[Vector]:
    cache.mkdir(parents=True, exist_ok=True)
    results = []
    with ProcessPoolExecutor(jobs) as pool:
        for row in pool.map(work, pictures, [cache] * len(pictures), chunksize=4):
            results.append(row)
            advance()
    return results


def _original(picture: Picture, cache: Path) -> Vector:
    """Shape (width,), or (0,) for a picture that is of no use."""
    stored = cache / f"{picture.sha256[:32]}-f{FEATURES_VERSION}-original.npy"
    if stored.exists():
        return _read(stored)
    try:
        image = process_fence().decode(picture.path.read_bytes())
    except InvalidImageError:
        return np.empty(0, np.float32)
    if min(image.size) < _LEAST_SIDE or np.asarray(image.convert("L").resize((32, 32))).std() < 6:
        return np.empty(0, np.float32)
    return _write(stored, _features(cache).of_bytes(picture.path.read_bytes()))


def _copies(picture: Picture, cache: Path) -> Vector:
    """Shape (copies, width)."""
    fixed = picture.side in {"calibration", "evaluation"}
    kind = f"fixed-{len(EDITS)}" if fixed else f"varied-{VARIED_COPIES}"
    stored = cache / f"{picture.sha256[:32]}-f{FEATURES_VERSION}-{kind}.npy"
    if stored.exists():
        return _read(stored)
    rng = Random(picture.sha256)  # noqa: S311 - reproducible, not secret
    edits = EDITS if fixed else [varied_edit(rng) for _ in range(VARIED_COPIES)]
    image = process_fence().decode(picture.path.read_bytes(), side=_LONG_SIDE)
    files = [edit.apply_to(image, rng)[1] for edit in edits]
    return _write(stored, np.stack([_features(cache).of_bytes(data) for data in files]))


@lru_cache(1)
def _features(cache: Path) -> RawFeatures:
    return RawFeatures(cache, decode=process_fence().decode)


def _read(path: Path) -> Vector:
    stored: Vector = np.load(path, allow_pickle=False).astype(np.float32)
    return stored


def _write(path: Path, array: Vector) -> Vector:
    """Stored in half precision, under its name only when complete."""
    partial = path.with_suffix(".partial.npy")
    np.save(partial, array.astype(np.float16))
    partial.replace(path)
    return array.astype(np.float16).astype(np.float32)
