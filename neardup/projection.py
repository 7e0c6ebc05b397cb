"""Centring and whitening: embeddings -> embeddings whose directions are spread evenly, so that terms are balanced."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neardup.types import Vector

__all__ = ["Half", "Projection", "unit_rows"]

Half = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Projection:
    """(embeddings - mean) @ matrix, scaled to length 1. Kept in half precision, which costs no recall.

    Shapes: `mean` (d,), `matrix` (d, d').
    """

    mean: Half
    matrix: Half

    @property
    def dimension(self) -> int:
        """d', that of the result."""
        return int(self.matrix.shape[1])

    @property
    def digest(self) -> str:
        """12 hex digits over all numbers."""
        sha = hashlib.sha256(f"projection {self.matrix.shape}".encode())
        for array in (self.mean, self.matrix):
            sha.update(array.astype("<f2").tobytes())
        return sha.hexdigest()[:12]

    @cached_property
    def _single(self) -> tuple[Vector, Vector]:
        """Both as float32: to widen them takes longer than the product for one image."""
        return self.mean.astype(np.float32), self.matrix.astype(np.float32)

    def apply(self, embeddings: Vector) -> Vector:
        """Shape (n, d) -> (n, d'), float32, rows of length 1 (a row without any direction: zeros)."""
        mean, matrix = self._single
        projected = (embeddings - mean) @ matrix
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        unit: Vector = (projected / np.maximum(length, 1e-12)).astype(np.float32)
        return unit


def unit_rows(embeddings: Vector) -> Vector:
    """Shape (n, d), rows scaled to length 1, float32; none may be all zeros."""
    # By the largest number first: squares of large ones would overflow.
    scaled = embeddings / np.abs(embeddings).max(axis=1, keepdims=True)
    unit: Vector = (scaled / np.linalg.norm(scaled, axis=1, keepdims=True)).astype(np.float32)
    return unit
