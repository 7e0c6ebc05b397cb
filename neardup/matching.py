"""Candidates -> scored matches: what proposing and looking up have in common. Ports only."""

from collections.abc import Sequence

import numpy as np

from neardup.ports import PairScorer
from neardup.types import CandidateList, Match, PairBatch, Vector

__all__ = ["score_candidates"]


def score_candidates(
    scorer: PairScorer, probes: Sequence[Vector], found: Sequence[CandidateList]
) -> tuple[list[tuple[Match, ...]], int]:
    """The matches of each probe, best score first (then overlap, then id), and the model version that scored them.

    `probes`: the score embedding of each probe, shape (dimension,), at least one; `found`: its candidates. All pairs go
    to the scorer in one batch. Raises ScorerUnavailableError.
    """
    scored = scorer.score(_pairs(probes, found))
    matches = []
    start = 0
    for candidates in found:
        stop = start + len(candidates.candidates)
        of_probe = [
            Match(image_id=candidate.image_id, overlap=candidate.overlap, score=float(value))
            for candidate, value in zip(candidates.candidates, scored.values[start:stop], strict=True)
        ]
        of_probe.sort(key=lambda match: (-match.score, -match.overlap, match.image_id))
        matches.append(tuple(of_probe))
        start = stop
    return matches, scored.model_version


def _pairs(probes: Sequence[Vector], found: Sequence[CandidateList]) -> PairBatch:
    """Every probe against each of its candidates, one row a pair."""
    counts = [len(candidates.candidates) for candidates in found]
    rows = [candidate for candidates in found for candidate in candidates.candidates]
    if not rows:
        empty = np.empty((0, probes[0].shape[0]), dtype=np.float32)
        return PairBatch(probes=empty, candidates=empty, overlap=np.empty(0, dtype=np.int32))
    return PairBatch(
        probes=np.repeat(np.stack(probes), counts, axis=0),
        candidates=np.stack([candidate.score for candidate in rows]),
        overlap=np.array([candidate.overlap for candidate in rows], dtype=np.int32),
    )
