"""What a process has read of indexed images, so that its searches need not read it again. Thread-safe.

The embeddings of 200 candidates are 560 kB of text, and most of them were read for searches before: of an image's
candidates all but a few share a term by chance. An image is indexed anew, with a new seq, whenever anything
about it changes, so the seq names both the image and its embedding.
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final

import numpy as np

from neardup.types import Half, ImageId

__all__ = ["ScoreMemory", "Seen"]

Seen = tuple[ImageId, Half]
"""An image and its score embedding."""

_ENTRY_BYTES: Final = 300
"""What an image takes beside its embedding."""
_FORGOTTEN_AT_ONCE: Final = 1 / 16
"""What part is forgotten when there is no room, so that those to forget are looked for but now and then."""


class ScoreMemory:
    """Keeps those that were needed last, in about `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._lock = Lock()
        self._uses = 0
        self._make_room(0)

    def recall(self, seqs: Sequence[int]) -> tuple[list[ImageId | None], Half]:
        """For each seq the image, None if it is not known, and its score embedding: shape (seqs, dimension), anything
        for what is not known, no dimension if nothing is."""
        with self._lock:
            rows = [self._rows.get(seq, -1) for seq in seqs]
            known = max(rows, default=-1) >= 0
            scores = self._scores[rows] if known else np.empty((len(seqs), 0), np.float16)
            self._uses += 1
            self._last_use[[row for row in rows if row >= 0]] = self._uses
            return [self._image_ids[row] if row >= 0 else None for row in rows], scores

    def add(self, images: Mapping[int, Seen]) -> None:
        """Keep these by their seqs, and forget what has no room any more."""
        with self._lock:
            self._uses += 1
            for seq, (image_id, score) in images.items():
                if len(score) != self._scores.shape[1]:
                    self._make_room(len(score))
                if seq in self._rows or not len(self._scores):
                    continue
                if not self._free:
                    self._forget()
                row = self._free.pop()
                self._rows[seq] = row
                self._seqs[row], self._image_ids[row], self._scores[row] = seq, image_id, score
                self._last_use[row] = self._uses

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._make_room(self._scores.shape[1])

    def _make_room(self, dimension: int) -> None:
        """For embeddings of this dimension; nothing is known then."""
        count = self._limit // (dimension * np.dtype(np.float16).itemsize + _ENTRY_BYTES) if dimension else 0
        # Of what is not in use the system gives no memory yet.
        self._scores: Half = np.empty((count, dimension), np.float16)
        self._image_ids: list[ImageId | None] = [None] * count
        self._seqs = np.zeros(count, np.int64)
        self._last_use = np.zeros(count, np.int64)
        self._rows: dict[int, int] = {}
        self._free = list(range(count - 1, -1, -1))

    def _forget(self) -> None:
        """What was not needed for longest."""
        count = max(1, int(len(self._scores) * _FORGOTTEN_AT_ONCE))
        self._free = np.argpartition(self._last_use, count - 1)[:count].tolist()
        for seq in self._seqs[self._free].tolist():
            del self._rows[seq]
