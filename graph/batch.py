"""Proposals that are decided together, with the recent images that each shares terms with: those in the memory, and the
proposals before it in the same batch. Ports only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graph.recent import RecentImages, Remembered
from neardup.lsh import overlaps_of_each
from neardup.ports import PairScorer
from neardup.types import Match, PairBatch, Proposal

__all__ = ["BEFORE", "Item", "plan_batch"]

BEFORE = -1
"""Stands for the offset of an image that was decided before this batch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """A proposal with the recent images it shares terms with, scored by `model_version`. `earlier`: for each the offset
    of its proposal if that is in this very batch, else `BEFORE`."""

    offset: int
    proposal: Proposal
    recent: tuple[Match, ...]
    earlier: tuple[int, ...]
    model_version: int


def plan_batch(
    batch: Sequence[tuple[int, Proposal]], recent: RecentImages, scorer: PairScorer, *, minimum_overlap: int
) -> list[Item]:
    """One item a proposal, in order; all pairs are scored in one request. Raises ScorerUnavailableError."""
    near = _near(batch, recent, minimum_overlap)
    values, model_version = _score(scorer, batch, near)
    scores = iter(values)
    return [
        Item(
            offset=offset,
            proposal=proposal,
            recent=tuple(Match(image_id=one.image_id, overlap=one.overlap, score=next(scores)) for one, _ in found),
            earlier=tuple(at for _, at in found),
            model_version=model_version,
        )
        for (offset, proposal), found in zip(batch, near, strict=True)
    ]


def _near(
    batch: Sequence[tuple[int, Proposal]], recent: RecentImages, minimum_overlap: int
) -> list[list[tuple[Remembered, int]]]:
    """For each proposal the images that it shares terms with, each with its offset in the batch or `BEFORE`."""
    queries = [proposal.query for _, proposal in batch]
    searched = [proposal.searched_seq for _, proposal in batch]
    codes = np.stack([query[:, 0] for query in queries])
    remembered = recent.after(min(searched)).near(queries, searched, minimum_overlap=minimum_overlap)
    near: list[list[tuple[Remembered, int]]] = []
    for index, counts in enumerate(overlaps_of_each(queries, codes)):
        found = [(one, BEFORE) for one in remembered[index]]
        for row in np.flatnonzero(counts[:index] >= minimum_overlap).tolist():
            at, other = batch[row]
            overlap = int(counts[row])
            found.append((Remembered(image_id=other.image_id, code=codes[row], score=other.score, overlap=overlap), at))
        near.append([(one, at) for one, at in found if one.image_id != batch[index][1].image_id])
    return near


def _score(
    scorer: PairScorer, batch: Sequence[tuple[int, Proposal]], near: Sequence[Sequence[tuple[Remembered, int]]]
) -> tuple[list[float], int]:
    if not any(near):
        return [], 0
    every = [one for found in near for one, _ in found]
    pairs = PairBatch.in_order(
        np.stack([proposal.score for _, proposal in batch]),
        [len(found) for found in near],
        np.stack([one.score for one in every]),
        np.array([one.overlap for one in every], dtype=np.int32),
    )
    scored = scorer.score(pairs)
    return scored.values.tolist(), scored.model_version
