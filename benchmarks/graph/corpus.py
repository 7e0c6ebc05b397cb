"""What is loaded: giant clusters, then ordinary ones. Every image is named after the seq of its decision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Self

from neardup.entries import Decision
from neardup.ports import Projection
from neardup.testing import make_decision, position_of
from neardup.types import ClusterId, ImageId

__all__ = ["ORDINARY_SIZE", "Cluster", "Corpus", "apply_all", "image_name"]

ORDINARY_SIZE: Final = 6
"""Members of an ordinary cluster: the average of the reference load."""


def image_name(seq: int) -> ImageId:
    return ImageId(f"benchmark/{seq:09d}.jpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Its members came with consecutive seqs, `first` to `last`."""

    first: int
    size: int

    @property
    def cluster_id(self) -> ClusterId:
        return ClusterId(image_name(self.first))

    @property
    def last(self) -> int:
        return self.first + self.size - 1

    def joins(self, seq: int) -> Decision:
        """The decision by which the image of this seq is in this cluster."""
        return make_decision(seq, image_name(seq), self.cluster_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Giant clusters of these sizes, then `ordinary` images in clusters of six."""

    giants: tuple[Cluster, ...]
    ordinary: range

    @classmethod
    def of(cls, sizes: Sequence[int], ordinary: int) -> Self:
        starts = [1, *(1 + total for total in accumulate(sizes))]
        giants = tuple(Cluster(first=first, size=size) for first, size in zip(starts, sizes, strict=False))
        return cls(giants=giants, ordinary=range(starts[-1], starts[-1] + ordinary))

    @property
    def last(self) -> int:
        return self.ordinary.stop - 1

    def decisions(self, seqs: range) -> Iterator[Decision]:
        """The decisions of these seqs, all of one giant or all of ordinary clusters."""
        for seq in seqs:
            yield self._cluster(seq).joins(seq)

    def _cluster(self, seq: int) -> Cluster:
        for giant in self.giants:
            if giant.first <= seq <= giant.last:
                return giant
        start = seq - (seq - self.ordinary.start) % ORDINARY_SIZE
        return Cluster(first=start, size=ORDINARY_SIZE)


def apply_all(corpus: Corpus, projection: Projection, seqs: range, *, batch: int) -> None:
    """Apply the decisions of these seqs as a projector does, in large batches."""
    for start in range(seqs.start, seqs.stop, batch):
        decisions = list(corpus.decisions(range(start, min(start + batch, seqs.stop))))
        projection.apply(decisions, upto=position_of(decisions[-1]))
