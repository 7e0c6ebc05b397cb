"""Real images for the corpus: the sample photos and varied edits of them, embedded by the default embedder."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from benchmarks.search.corpus import DIMENSION
from neardup.demo.corpus import sample_photos
from neardup.edits.named import varied_edit
from neardup.embedder.decode import decode
from neardup.embedder.default import DefaultEmbedder
from neardup.errors import InvalidImageError
from neardup.types import Vector

__all__ = ["RealImages", "embed_real_images"]

_PROCESSES = 2
_SIDE = 640


@dataclass(frozen=True, slots=True)
class RealImages:
    """`indexed`: photos and edits for the corpus, (n, 256); `asked`: other edits, (m, 256), that no corpus holds, with
    the row of each one's photo in `indexed`."""

    indexed: Vector
    asked: Vector
    originals: npt.NDArray[np.int64]


def embed_real_images(edits: int) -> RealImages:
    """Every photo with this many edits; every fourth edit is kept to ask with."""
    indexed: list[Vector] = []
    asked: list[Vector] = []
    originals: list[int] = []
    context = get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        for embeddings in pool.map(_embed, sample_photos(), [edits] * len(sample_photos())):
            photo = len(indexed)
            indexed.append(embeddings[0])
            for number, embedding in enumerate(embeddings[1:]):
                if number % 4 == 0:
                    asked.append(embedding)
                    originals.append(photo)
                else:
                    indexed.append(embedding)
    return RealImages(np.stack(indexed), np.stack(asked), np.array(originals, dtype=np.int64))


def _embed(photo: Path, edits: int) -> Vector:
    """The photo's own embedding first, then those of its edits, (1 + edits or fewer, 256)."""
    embedder = DefaultEmbedder()
    return np.stack([embedder.embed(data).lsh[:DIMENSION] for data in _versions(photo, edits) if data])


def _versions(photo: Path, edits: int) -> Iterator[bytes]:
    data = photo.read_bytes()
    yield data
    picture = decode(data, side=_SIDE)
    rng = Random(photo.name)
    for _ in range(edits):
        try:
            yield varied_edit(rng).apply_to(picture, rng)[1]
        except InvalidImageError:
            continue
