"""Raw features -> embeddings: matrices learned from pictures and their edited copies, shipped as `whitening.npz`.

Of the content, the directions in which copies differ from their originals are scaled down (within-pair covariance
whitening, closed form; Mikolajczyk & Matas, ICCV 2007), then PCA keeps those in which pictures differ from each other.
"""

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from neardup.embedder.features import CONTENT_WIDTH, RAW_WIDTHS
from neardup.embedder.signs import SIGN_NUMBERS
from neardup.embedder.thumbnail import THUMBNAIL
from neardup.errors import ConfigError
from neardup.points.axes import Axes
from neardup.points.describe import COUNT
from neardup.points.packing import POINTS
from neardup.projection import Projection
from neardup.types import Embeddings, Vector

__all__ = ["Whitening", "fit_principal", "fit_projection", "shipped_whitening"]

_FORMAT: Final = 4


@dataclass(frozen=True)
class Whitening:
    """Both embeddings begin with the projected content, of length 1. In that for the terms the words of points follow;
    in that for the scorer the signs, the points and the thumbnail."""

    content: Projection
    axes: Axes

    @cached_property
    def digest(self) -> str:
        """12 hex digits over all numbers."""
        sha = hashlib.sha256(f"whitening {_FORMAT}".encode())
        for array in self._arrays().values():
            sha.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return sha.hexdigest()[:12]

    @property
    def lsh_dimension(self) -> int:
        return self.content.dimension + 2 * COUNT

    @property
    def score_dimension(self) -> int:
        return self.content.dimension + SIGN_NUMBERS + POINTS + THUMBNAIL

    def embed(self, raw: Vector) -> tuple[Vector, Vector]:
        """Raw features (n, RAW_WIDTH) -> embeddings for terms and for the scorer, (n, dimension) each."""
        seen, signs, described, thumbnails = np.split(raw, np.cumsum(RAW_WIDTHS)[:-1], axis=1)
        content = self.content.apply(seen)
        lsh = np.concatenate([content, self.axes.words(described)], axis=1)
        return lsh, np.concatenate([content, signs, self.axes.points(described), thumbnails], axis=1)

    def embed_one(self, raw: Vector) -> Embeddings:
        lsh, score = self.embed(raw[None])
        return Embeddings(lsh=lsh[0], score=score[0])

    def save(self, path: Path) -> None:
        np.savez_compressed(path, format=np.array(_FORMAT), **self._arrays())

    @classmethod
    def load(cls, path: Path) -> "Whitening":
        """Raises ConfigError when the file is missing or made for other features."""
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, KeyError, BadZipFile) as exc:
            raise ConfigError(f"whitening: cannot read {path}: {exc}") from exc
        if arrays["format"] != _FORMAT or len(arrays["mean"]) != CONTENT_WIDTH:
            raise ConfigError(f"whitening: {path} was made for other features; train it again")
        axes = Axes(**{each.name: arrays[each.name] for each in fields(Axes)})
        return cls(Projection(arrays["mean"], arrays["matrix"]), axes)

    def _arrays(self) -> dict[str, Any]:
        axes = {each.name: getattr(self.axes, each.name) for each in fields(Axes)}
        return {"mean": self.content.mean, "matrix": self.content.matrix, **axes}


def shipped_whitening() -> Whitening:
    """The whitening that comes with the package."""
    return Whitening.load(Path(str(files("neardup.embedder"))) / "whitening.npz")


def fit_projection(
    originals: Vector, copies: Vector, owner: npt.NDArray[np.intp], *, dimension: int, ridge: float, flatten: float
) -> Projection:
    """Learn a projection from features of `originals` (n, d) and of `copies` (m, d), where copy i is one of original
    `owner[i]`.

    `ridge`: share of the average within-pair variance added to every direction. `flatten`: 0 leaves the kept
    directions their spread, 1 makes them equal.
    """
    mean = originals.mean(axis=0, dtype=np.float64)
    within = (copies - originals[owner]).astype(np.float64)
    covariance = within.T @ within / len(within)
    covariance[np.diag_indices_from(covariance)] += ridge * np.trace(covariance) / len(covariance)
    spread, directions = np.linalg.eigh(covariance)
    whiten = directions / np.sqrt(spread) @ directions.T
    return _projection(mean, whiten @ _kept_axes((originals - mean) @ whiten, dimension, flatten=flatten))


def fit_principal(embeddings: Vector, *, dimension: int, shrink: float, flatten: float) -> Projection:
    """Learn a projection from embeddings (n, d) alone: their main directions, made more equal.

    `shrink`: share of the average variance added to every direction before that, so that those with next to none are
    not blown up. `flatten`: as in `fit_projection`.
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    return _projection(mean, _kept_axes(embeddings - mean, dimension, shrink=shrink, flatten=flatten))


def _kept_axes(
    centred: npt.NDArray[np.float64], dimension: int, *, flatten: float, shrink: float = 0.0
) -> npt.NDArray[np.float64]:
    """The directions (d, dimension) in which rows (n, d) vary most, scaled."""
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = slice(None, -dimension - 1, -1)
    shrunk = variance[kept] + shrink * variance.mean()
    scaled: npt.NDArray[np.float64] = axes[:, kept] * shrunk ** (-flatten / 2)
    return scaled


def _projection(mean: npt.NDArray[np.float64], matrix: npt.NDArray[np.float64]) -> Projection:
    # Eigenvectors have no sign of their own; and half precision wants numbers near 1.
    matrix = matrix * np.sign(matrix[np.abs(matrix).argmax(axis=0), np.arange(matrix.shape[1])])
    matrix /= np.abs(matrix).max()
    return Projection(mean.astype(np.float16), matrix.astype(np.float16))
