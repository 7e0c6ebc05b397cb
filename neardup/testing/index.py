"""The index in memory: exact overlap by comparing the terms of every image."""

from collections.abc import Mapping, Sequence

from neardup.lsh import terms
from neardup.ports import LARGEST_LIMIT
from neardup.times import epoch_ms
from neardup.types import Candidate, CandidateList, ImageId, IndexedImage, LshTerm, Position, Probe, SearchFilter

__all__ = ["InMemoryIndex"]


class InMemoryIndex:
    """The ports CandidateSearch and ImageIndex over one dictionary."""

    def __init__(self) -> None:
        self._images: dict[ImageId, IndexedImage] = {}
        self._terms: dict[ImageId, frozenset[LshTerm]] = {}
        self._removed: dict[ImageId, int] = {}
        self._position = Position()

    def position(self) -> Position:
        return self._position

    def apply(self, images: Sequence[IndexedImage], removed: Sequence[ImageId], *, upto: Position) -> None:
        for image in images:
            if image.seq >= self._written(image.image_id):
                self._terms[image.image_id] = frozenset(terms(image.code))
                self._images[image.image_id] = image
        for image_id in removed:
            if upto.seq >= self._written(image_id):
                self._images.pop(image_id, None)
                self._removed[image_id] = upto.seq
        if upto.seq >= self._position.seq:
            self._position = upto

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        if not 1 <= limit <= LARGEST_LIMIT:
            raise ValueError(f"limit: {limit} is not between 1 and {LARGEST_LIMIT}")
        if minimum_overlap < 1:
            raise ValueError(f"minimum_overlap: {minimum_overlap} is not at least 1")
        searchable = [image for image in self._images.values() if image.searchable]
        images = sorted(searchable, key=lambda image: image.seq)
        terms_of = [self._terms[image.image_id] for image in images]
        return [_candidates(images, terms_of, probe, limit, minimum_overlap) for probe in probes]

    def images(self, image_ids: Sequence[ImageId]) -> dict[ImageId, IndexedImage]:
        return {image_id: self._images[image_id] for image_id in image_ids if image_id in self._images}

    def _written(self, image_id: ImageId) -> int:
        stored = self._images.get(image_id)
        return max(stored.seq if stored else 0, self._removed.get(image_id, 0))


def _candidates(
    images: Sequence[IndexedImage],
    terms_of: Sequence[frozenset[LshTerm]],
    probe: Probe,
    limit: int,
    minimum_overlap: int,
) -> CandidateList:
    asked, excluded = frozenset(probe.terms), frozenset(probe.exclude)
    overlaps = [len(asked & own) for own in terms_of]
    ranked = [
        place
        for place in sorted(range(len(images)), key=lambda place: -overlaps[place])
        if overlaps[place] >= minimum_overlap
        and images[place].image_id not in excluded
        and (probe.where is None or _fits(images[place].metadata, probe.where))
    ]
    cut = len(ranked) > limit
    return CandidateList.of(
        [
            Candidate(image_id=images[place].image_id, overlap=overlaps[place], score=images[place].score)
            for place in ranked[:limit]
        ],
        cutoff_overlap=overlaps[ranked[limit - 1]] if cut else 0,
        ties_at_cutoff=cut and overlaps[ranked[limit]] == overlaps[ranked[limit - 1]],
        searched_documents=len(images),
    )


def _fits(metadata: Mapping[str, str], where: SearchFilter) -> bool:
    if any(metadata.get(name) not in values for name, values in where.equal.items()):
        return False
    if where.created_from_ms is None and where.created_before_ms is None:
        return True
    if "created_at" not in metadata:
        return False
    created = epoch_ms(metadata["created_at"])
    after = where.created_from_ms is None or created >= where.created_from_ms
    return after and (where.created_before_ms is None or created < where.created_before_ms)
