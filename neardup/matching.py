"""Candidates -> scored matches: what proposing and looking up have in common. Ports only."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from neardup.ports import PairScorer
from neardup.types import Candidate, CandidateList, Half, Match, PairBatch, Vector

__all__ = ["pair_batch", "score_candidates"]


def score_candidates(
    scorer: PairScorer, probes: Sequence[Half], found: Sequence[CandidateList], *, keep: int | None = None
) -> tuple[list[tuple[Match, ...]], int]:
    """The matches of each probe, best score first (then overlap, then id), the first `keep` or all, and the model
    version that scored them.

    `probes`: the score embedding of each probe, shape (dimension,), at least one; `found`: its candidates. All pairs go
    to the scorer in one batch. Raises ScorerUnavailableError.
    """
    scored = scorer.score(pair_batch(probes, [candidates.candidates for candidates in found]))
    stops = np.cumsum([len(candidates.candidates) for candidates in found])[:-1]
    matches = [
        _best(candidates.candidates, values, keep)
        for candidates, values in zip(found, np.split(scored.values, stops), strict=True)
    ]
    return matches, scored.model_version


def _best(candidates: Sequence[Candidate], values: Vector, keep: int | None) -> tuple[Match, ...]:
    rows: Sequence[int] = range(len(candidates))
    if keep is not None and keep < len(candidates):
        # Whoever has the score of the last one kept may come before it.
        least = np.partition(values, -keep)[-keep]
        rows = np.flatnonzero(values >= least).tolist()
    matches = [
        Match(image_id=candidates[row].image_id, overlap=candidates[row].overlap, score=float(values[row]))
        for row in rows
    ]
    matches.sort(key=lambda match: (-match.score, -match.overlap, match.image_id))
    return tuple(matches[:keep])


class Scorable(Protocol):
    """What a probe is scored against."""

    @property
    def score(self) -> Half: ...
    @property
    def overlap(self) -> int: ...


def pair_batch(probes: Sequence[Half], found: Sequence[Sequence[Scorable]]) -> PairBatch:
    """Every probe, of shape (dimension,), at least one, against all that it found, in order."""
    every = [one for of_probe in found for one in of_probe]
    return PairBatch(
        probes=np.stack(probes),
        candidates=np.stack([one.score for one in every]) if every else np.empty((0, len(probes[0])), np.float16),
        probe_of=np.repeat(np.arange(len(probes)), [len(of_probe) for of_probe in found]),
        overlap=np.array([one.overlap for one in every], dtype=np.int32),
    )
