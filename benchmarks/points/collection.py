"""Pictures of one kind, judged by themselves."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.points.fusion import Sample, Shipped
from neardup.embedder.default import DefaultEmbedder
from neardup.evaluation.manifest import Row
from neardup.evaluation.offline import Model, OfflineCorpus, codes_of
from neardup.lsh import overlaps
from neardup.messages import half
from neardup.settings import Settings
from neardup.types import Embeddings

__all__ = ["Collection", "collections_of"]

_RIGHT: Final = 12_000
_WRONG: Final = 25_000
"""Pairs of a collection to learn from, at most."""
_DIGIT: Final = 2048
"""Whole numbers below it are exact in float16."""


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Embeddings carry packed points behind the numbers of the score embedding."""

    rows: list[Row]
    embeddings: list[Embeddings]

    def corpus(self, model: Model, settings: Settings) -> OfflineCorpus:
        return OfflineCorpus(self.rows, self.embeddings, model, settings, words=DefaultEmbedder.words)

    def with_names(self) -> "Collection":
        """The score embedding is two numbers that name the source: for a scorer that is always right."""
        numbers = [np.array(divmod(source, _DIGIT), np.float32) for source in self._sources().tolist()]
        named = [replace(each, score=name) for each, name in zip(self.embeddings, numbers, strict=True)]
        return Collection(self.rows, named)

    def sample(self, shipped: Shipped, settings: Settings) -> Sample:
        """Pairs that search brings together."""
        queries, codes = codes_of(self.embeddings, settings, words=DefaultEmbedder.words)
        found = [overlaps(query, codes[number + 1 :]) for number, query in enumerate(queries)]
        later = [np.flatnonzero(counts >= settings.search.minimum_overlap) for counts in found]
        overlap = np.concatenate([counts[rows] for counts, rows in zip(found, later, strict=True)])
        first = np.repeat(np.arange(len(later)), [len(rows) for rows in later])
        second = np.concatenate([rows + number + 1 for number, rows in enumerate(later)])
        sources, scores = self._sources(), half(np.stack([each.score for each in self.embeddings]))
        same = sources[first] == sources[second]
        chosen = np.concatenate([_some(np.flatnonzero(same), _RIGHT), _some(np.flatnonzero(~same), _WRONG)])
        return Sample.of(shipped, scores[first[chosen]], scores[second[chosen]], overlap[chosen], same[chosen])

    def _sources(self) -> npt.NDArray[np.intp]:
        return np.unique([row.source_id for row in self.rows], return_inverse=True)[1]


def collections_of(rows: Sequence[Row], embeddings: Sequence[Embeddings]) -> list[Collection]:
    """By source; of a single one two halves, in which no picture is a copy of one in the other."""
    names = [row.source for row in rows]
    if len(set(names)) == 1:
        half_of = {
            source_id: str(number % 2) for number, source_id in enumerate(sorted({row.source_id for row in rows}))
        }
        names = [half_of[row.source_id] for row in rows]
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        numbers[name].append(number)
    return [Collection([rows[n] for n in chosen], [embeddings[n] for n in chosen]) for chosen in numbers.values()]


def _some(numbers: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    return numbers if len(numbers) <= count else np.random.default_rng(0).choice(numbers, count, replace=False)
