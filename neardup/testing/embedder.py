"""Embeddings without a model."""

import hashlib

import numpy as np

from neardup.errors import InvalidImageError
from neardup.types import Embeddings, Vector

__all__ = ["DigestEmbedder"]


class DigestEmbedder:
    """The port Embedder: equal bytes give equal embeddings, other bytes unrelated ones. Only b"" is not an image. Of
    `words` words the last is none."""

    def __init__(self, *, lsh_dimension: int = 32, score_dimension: int = 16, words: int = 0) -> None:
        self._dimensions = (lsh_dimension, score_dimension)
        self._words = words

    @property
    def version(self) -> str:
        return f"digest-{self.lsh_dimension}-{self.score_dimension}" + (f"-{self._words}" if self._words else "")

    @property
    def lsh_dimension(self) -> int:
        return self._dimensions[0]

    @property
    def words(self) -> int:
        return self._words

    @property
    def score_dimension(self) -> int:
        return self._dimensions[1]

    def embed(self, data: bytes) -> Embeddings:
        if not data:
            raise InvalidImageError("the file is empty")
        lsh = _vector(b"lsh", data, self.lsh_dimension)
        if self._words:
            lsh[-2 * self._words :] = _words(data, self._words)
            lsh[-2:] = 0
        return Embeddings(lsh=lsh, score=_vector(b"score", data, self.score_dimension))


def _words(data: bytes, words: int) -> Vector:
    raw = hashlib.shake_256(b"words" + data).digest(4 * words)
    return (np.frombuffer(raw, dtype="<u2") % 2048 + 1).astype(np.float32)


def _vector(kind: bytes, data: bytes, dimension: int) -> Vector:
    raw = hashlib.shake_256(kind + data).digest(2 * dimension)
    return (np.frombuffer(raw, dtype="<i2") / 32768 + 1e-5).astype(np.float32)
