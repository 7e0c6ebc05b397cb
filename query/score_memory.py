"""What a process has read of indexed images, so that its searches need not read it again. Thread-safe.

The embeddings of 200 candidates are 560 kB of text, and most of them were read for searches before: of an image's
candidates all but a few share a term by chance. An image is indexed anew, with a new seq, whenever anything
about it changes, so the seq names both the image and its embedding.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final

from neardup.types import Half, ImageId

__all__ = ["ScoreMemory", "Seen"]

Seen = tuple[ImageId, Half]
"""An image and its score embedding."""

_ENTRY_BYTES: Final = 400


class ScoreMemory:
    """Keeps those that were needed last, in about `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._seen: OrderedDict[int, Seen] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def recall(self, seqs: Iterable[int]) -> dict[int, Seen]:
        """Those among these that are known."""
        with self._lock:
            known = {}
            for seq in seqs:
                if (seen := self._seen.get(seq)) is not None:
                    known[seq] = seen
                    self._seen.move_to_end(seq)
            return known

    def add(self, images: Mapping[int, Seen]) -> None:
        """Keep these, and forget what has no room any more."""
        with self._lock:
            for seq, (image_id, score) in images.items():
                if seq not in self._seen:
                    # A copy: they are parts of a larger array, all of which would be kept.
                    self._seen[seq] = image_id, score.copy()
                    self._bytes += score.nbytes + _ENTRY_BYTES
            while self._bytes > self._limit:
                _, (_, score) = self._seen.popitem(last=False)
                self._bytes -= score.nbytes + _ENTRY_BYTES

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen.clear()
            self._bytes = 0
