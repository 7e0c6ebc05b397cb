"""What is seen of the pictures: shipped embeddings, and points."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.points.packing import Projection
from benchmarks.points.points import Described, describe
from neardup.embedder.decode import decode
from neardup.embedder.default import DefaultEmbedder
from neardup.embedder.trim import trim
from neardup.evaluation.manifest import Row
from neardup.types import Embeddings

__all__ = ["Seen", "see"]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Of every picture the shipped embeddings and its points."""

    embeddings: list[Embeddings]
    points: list[Described]

    def with_points(self) -> list[Embeddings]:
        """Embeddings whose score part is followed by packed points, by projections learned from all these points."""
        projection = Projection.learn(np.concatenate([each.histograms for each in self.points]))
        return [
            replace(each, score=np.concatenate([each.score, projection.pack(points)]))
            for each, points in zip(self.embeddings, self.points, strict=True)
        ]


def see(rows: Sequence[Row]) -> Seen:
    """All of them, on all cores."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        seen = list(pool.map(_see, [row.file for row in rows], chunksize=16))
    embeddings, points = zip(*seen, strict=True)
    return Seen(list(embeddings), list(points))


def _see(file: Path) -> tuple[Embeddings, Described]:
    data = file.read_bytes()
    return _embedder().embed(data), describe(trim(decode(data)))


@lru_cache(1)
def _embedder() -> DefaultEmbedder:
    return DefaultEmbedder()
