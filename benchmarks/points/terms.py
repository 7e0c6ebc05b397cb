"""Words of points among the terms: what that does to candidate recall, and what it costs in postings.

A word is 24 signs of a projected histogram that a mirror image does not change; a picture has one a point, and each
word in common counts as one shared term.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.points.packing import rotated_axes
from benchmarks.points.points import MIRRORED, Described
from benchmarks.points.scale_space import Floats
from neardup.embedder.default import DefaultEmbedder
from neardup.evaluation.manifest import ORIGINAL, Row
from neardup.evaluation.offline import codes_of
from neardup.lsh import overlaps
from neardup.settings import Settings
from neardup.types import Embeddings

__all__ = ["Searched", "search"]

_BITS: Final = 24
_BEST: Final = 200
_MILLION: Final = 1_000_000

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """`found`: of every copy whether its original would be among the best 200 of a million images; `copies`: the rows
    of the copies; `postings`: how many of a million images share terms with a query, counted once a term."""

    copies: npt.NDArray[np.intp]
    found: npt.NDArray[np.bool_]
    postings: float


def search(
    rows: Sequence[Row], embeddings: Sequence[Embeddings], points: Sequence[Described], settings: Settings
) -> dict[str, Searched]:
    """Of the terms as shipped, and with words. Copies ask, originals are found; by extrapolation from wrong pairs."""
    is_original = np.array([row.edit == ORIGINAL for row in rows])
    originals, copies = np.flatnonzero(is_original), np.flatnonzero(~is_original)
    sources = np.unique([row.source_id for row in rows], return_inverse=True)[1]
    same = sources[copies][:, None] == sources[originals][None]
    queries, codes = codes_of(embeddings, settings, words=DefaultEmbedder.words)
    shared = np.stack([overlaps(queries[copy], codes[originals]) for copy in copies])
    words = _shared_words(_words(points), copies, originals)
    return {name: _searched(copies, counts, same) for name, counts in (("terms", shared), ("words", shared + words))}


def _searched(copies: npt.NDArray[np.intp], counts: Counts, same: npt.NDArray[np.bool_]) -> Searched:
    wrong = counts[~same]
    place = len(wrong) - max(1, len(wrong) * _BEST // _MILLION)
    limit = np.partition(wrong, place)[place]
    found = ((counts > limit) & same).any(axis=1)
    return Searched(copies=copies, found=found, postings=float(wrong.mean()) * _MILLION)


def _words(points: Sequence[Described]) -> list[npt.NDArray[np.int64]]:
    """Of every picture, each word once."""
    features = _unmirrored(np.concatenate([each.histograms for each in points]))
    features -= features.mean(axis=0)
    words = (features @ rotated_axes(features, _BITS) > 0) @ (1 << np.arange(_BITS))
    ends = np.cumsum([len(each.histograms) for each in points])
    return [np.unique(each) for each in np.split(words, ends[:-1])]


def _unmirrored(histograms: Floats) -> Floats:
    """The half that a mirror image leaves, and the sizes of the half that it negates."""
    mirrored: Floats = histograms[:, MIRRORED]
    return np.concatenate([histograms + mirrored, np.abs(histograms - mirrored)], axis=1) * np.float32(0.5)


def _shared_words(
    words: Sequence[npt.NDArray[np.int64]], copies: npt.NDArray[np.intp], originals: npt.NDArray[np.intp]
) -> Counts:
    """Shape (copies, originals)."""
    index = np.concatenate([words[number] for number in originals])
    owner = np.repeat(np.arange(len(originals)), [len(words[number]) for number in originals])
    counts = [np.bincount(owner[np.isin(index, words[number])], minlength=len(originals)) for number in copies]
    return np.stack(counts).astype(np.int32)
