"""Made-up images with clear margins: a copy scores above 0.99 with every other of its motif, other motifs below 0.02.

So it is known beforehand which images belong together, whatever the order in which they come.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from benchmarks.made_up import copied, made_up, made_up_words
from neardup.types import Embeddings, ImageId, Placement, Vector
from scorer.network import AFTER_CONTENT

__all__ = ["Corpus", "Deletion", "Shot", "partition_of"]

_CONTENT: Final = 256
_NOISE: Final = 0.005
_FLIPPED: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shot:
    """One image to publish. `late`: its embedding for the scorer comes after the grace."""

    image_id: ImageId
    version: int
    embeddings: Embeddings
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """An image that its producer deletes, by a message without a value in one topic of embeddings or in both."""

    image_id: ImageId
    lsh: bool
    score: bool


class Corpus:
    """The images of one namespace. `published`: the newest version of each that was not deleted; `motif`: which of them
    belong together."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._numpy = np.random.default_rng(self._random.getrandbits(64))
        self._motifs: list[Vector] = []
        self._shots: dict[ImageId, Shot] = {}
        self.published: dict[ImageId, int] = {}
        self.motif: dict[ImageId, int] = {}
        self._alone: list[ImageId] = []
        self._made = 0
        self._deleted: list[Shot] = []

    def batch(self, size: int) -> list[Shot | Deletion]:
        """The next images: new ones, of known motifs and of new ones; some that come late; now and then one sent again,
        one in a newer version, and one that changes to another motif; and one that is deleted, or was."""
        return [self._any() for _ in range(size)]

    def copies(self, motif: int, count: int) -> list[Shot]:
        """That many new images of one motif."""
        while len(self._motifs) <= motif:
            self._new_motif()
        return [self._new(motif) for _ in range(count)]

    def expected(self) -> set[frozenset[ImageId]]:
        """The clusters as sets of images."""
        clusters: dict[int, set[ImageId]] = {}
        for image_id, motif in self.motif.items():
            clusters.setdefault(motif, set()).add(image_id)
        return {frozenset(members) for members in clusters.values()}

    def _any(self) -> Shot | Deletion:
        kind = self._random.random()
        return (self._delete() if kind < 0.04 else self._again() if kind < 0.07 else None) or self._shot()

    def _shot(self) -> Shot:
        kind = self._random.random()
        if kind < 0.1 and self._shots:
            return self._random.choice(list(self._shots.values()))
        if kind < 0.2 and self._shots:
            before = self._random.choice(list(self._shots.values()))
            return self._make(before.image_id, before.version + 1, self.motif[before.image_id])
        if kind < 0.3 and self._alone and len(self._motifs) > 1:
            image_id = self._alone.pop(self._random.randrange(len(self._alone)))
            return self._make(image_id, self.published[image_id] + 1, self._shared_motif())
        if kind < 0.4:
            shot = self._new(-1 - self._made)
            self._alone.append(shot.image_id)
            return shot
        return self._new(self._shared_motif(), late=kind > 0.85)

    def _delete(self) -> Deletion | None:
        image_id = self._random.choice(list(self._shots) or [ImageId("")])
        motif = self.motif.get(image_id)
        if motif is None:
            return None
        self._deleted.append(self._shots.pop(image_id))
        del self.published[image_id], self.motif[image_id]
        if image_id in self._alone:
            self._alone.remove(image_id)
        lsh, score = self._random.choice([(True, False), (False, True), (True, True)])
        return Deletion(image_id=image_id, lsh=lsh, score=score)

    def _again(self) -> Shot | None:
        """An image that was deleted, as it was or in a newer version: it must not come back."""
        if not self._deleted:
            return None
        shot = self._random.choice(self._deleted)
        return replace(shot, version=shot.version + self._random.randint(0, 1), late=False)

    def _shared_motif(self) -> int:
        if not self._motifs or self._random.random() < 0.15:
            self._new_motif()
        return self._random.randrange(len(self._motifs))

    def _new_motif(self) -> None:
        self._motifs.append(self._direction())

    def _direction(self) -> Vector:
        """A direction, what follows it in a score embedding of the default embedder, and words, at random."""
        vector = self._numpy.normal(size=(1, _CONTENT))
        parts = vector / np.linalg.norm(vector), made_up(self._numpy, 1), made_up_words(self._numpy, 1)
        direction: Vector = np.concatenate(parts, axis=1)[0].astype(np.float32)
        return direction

    def _new(self, motif: int, *, late: bool = False) -> Shot:
        # Mixed, so that neighbours are in different partitions.
        name = f"{self._made * 0x9E3779B1 % 2**32:08x}"
        self._made += 1
        return self._make(ImageId(name), 1, motif, late=late)

    def _make(self, image_id: ImageId, version: int, motif: int, *, late: bool = False) -> Shot:
        """`motif` < 0: one that no other image has."""
        centre = self._motifs[motif] if motif >= 0 else self._direction()
        content, after, words = np.split(centre, [_CONTENT, _CONTENT + AFTER_CONTENT])
        content = content + _NOISE * self._numpy.normal(size=_CONTENT).astype(np.float32)
        (after,) = copied(self._numpy, after[None], changed=_FLIPPED)
        embeddings = Embeddings(lsh=np.concatenate([content, words]), score=np.concatenate([content, after]))
        if motif < 0 and image_id in self._shots:
            embeddings = self._shots[image_id].embeddings
        shot = Shot(image_id=image_id, version=version, embeddings=embeddings, late=late)
        self._shots[image_id] = shot
        self.published[image_id] = version
        self.motif[image_id] = motif
        return shot


def partition_of(placements: Iterable[Placement]) -> set[frozenset[ImageId]]:
    """The clusters as sets of images, whatever their names."""
    clusters: dict[str, set[ImageId]] = {}
    for placement in placements:
        clusters.setdefault(placement.cluster_id, set()).add(placement.image_id)
    return {frozenset(members) for members in clusters.values()}
