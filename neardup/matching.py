"""Candidates -> scored matches: what proposing and looking up have in common. Ports only."""

from collections.abc import Sequence

import numpy as np

from neardup.ports import PairScorer
from neardup.types import CandidateList, Half, Match, PairBatch, Vector

__all__ = ["score_candidates"]


def score_candidates(
    scorer: PairScorer, probes: Sequence[Half], found: Sequence[CandidateList], *, keep: int | None = None
) -> tuple[list[tuple[Match, ...]], int]:
    """The matches of each probe, best score first (then overlap, then id), the first `keep` or all, and the model
    version that scored them.

    `probes`: the score embedding of each probe, shape (dimension,), at least one; `found`: its candidates. All pairs go
    to the scorer in one batch. Raises ScorerUnavailableError.
    """
    scored = scorer.score(_pairs(probes, found))
    stops = np.cumsum([len(candidates) for candidates in found])[:-1]
    matches = [
        _best(candidates, values, keep)
        for candidates, values in zip(found, np.split(scored.values, stops), strict=True)
    ]
    return matches, scored.model_version


def _pairs(probes: Sequence[Half], found: Sequence[CandidateList]) -> PairBatch:
    """Every probe against all its candidates, in order."""
    mine = np.stack(probes)
    # A list of none may have no dimension.
    scores = [candidates.scores for candidates in found if len(candidates)]
    return PairBatch.in_order(
        mine,
        [len(candidates) for candidates in found],
        np.concatenate(scores) if scores else np.empty((0, mine.shape[1]), np.float16),
        np.concatenate([candidates.overlap for candidates in found]),
    )


def _best(candidates: CandidateList, values: Vector, keep: int | None) -> tuple[Match, ...]:
    rows = np.arange(len(candidates))
    if keep is not None and keep < len(candidates):
        # Whoever has the score of the last one kept may come before it.
        rows = np.flatnonzero(values >= np.partition(values, -keep)[-keep])
    columns = zip(rows.tolist(), candidates.overlap[rows].tolist(), values[rows].tolist(), strict=True)
    matches = [
        Match(image_id=candidates.image_ids[row], overlap=overlap, score=score) for row, overlap, score in columns
    ]
    matches.sort(key=lambda match: (-match.score, -match.overlap, match.image_id))
    return tuple(matches[:keep])
