"""Embeddings without a model."""

import hashlib

import numpy as np

from neardup.errors import InvalidImageError
from neardup.types import Embeddings, Vector

__all__ = ["DigestEmbedder"]


class DigestEmbedder:
    """The port Embedder: equal bytes give equal embeddings, other bytes unrelated ones. Only b"" is not an image."""

    def __init__(self, *, lsh_dimension: int = 32, score_dimension: int = 16) -> None:
        self._dimensions = (lsh_dimension, score_dimension)

    @property
    def version(self) -> str:
        return f"digest-{self.lsh_dimension}-{self.score_dimension}"

    @property
    def lsh_dimension(self) -> int:
        return self._dimensions[0]

    @property
    def score_dimension(self) -> int:
        return self._dimensions[1]

    def embed(self, data: bytes) -> Embeddings:
        if not data:
            raise InvalidImageError("the file is empty")
        return Embeddings(
            lsh=_vector(b"lsh", data, self.lsh_dimension), score=_vector(b"score", data, self.score_dimension)
        )


def _vector(kind: bytes, data: bytes, dimension: int) -> Vector:
    raw = hashlib.shake_256(kind + data).digest(2 * dimension)
    return (np.frombuffer(raw, dtype="<i2") / 32768 + 1e-5).astype(np.float32)
