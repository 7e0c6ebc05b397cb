"""Proposals that are decided together, with the recent images that each shares terms with: those in the memory, and the
proposals before it in the same batch. Ports only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from graph.recent import Near, RecentImages
from neardup.lsh import overlaps_of_each
from neardup.ports import PairScorer
from neardup.types import Code, ImageId, PairBatch, Proposal, Vector

__all__ = ["BEFORE", "Item", "RecentMatch", "plan_batch"]

BEFORE = -1
"""Stands for the offset of an image that was decided before this batch."""


class RecentMatch(NamedTuple):
    """A recent image that shares terms with a proposal. `offset`: of its own proposal if that is in this very batch,
    else `BEFORE`. There are many, hence no dataclass."""

    image_id: ImageId
    overlap: int
    score: float
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """A proposal with the recent images it shares terms with, scored by `model_version`."""

    offset: int
    proposal: Proposal
    recent: tuple[RecentMatch, ...]
    model_version: int


def plan_batch(
    batch: Sequence[tuple[int, Proposal]], recent: RecentImages, scorer: PairScorer, *, minimum_overlap: int
) -> list[Item]:
    """One item a proposal, in order; all pairs are scored in one request. Raises ScorerUnavailableError.

    Where the candidates were cut off, an image is one only if it shares more terms than the last of them: of equals a
    search brings up the older ones, so it would not have found a recent one, had the index shown it.
    """
    queries = [proposal.query for _, proposal in batch]
    searched = [proposal.searched_seq for _, proposal in batch]
    least = [max(minimum_overlap, proposal.cutoff_overlap + 1) for _, proposal in batch]
    remembered = recent.after(min(searched)).near(queries, searched, least)
    earlier = _earlier(batch, queries, least)
    of_remembered, of_earlier, model_version = _score(scorer, batch, recent, remembered, earlier)
    items = []
    for index, (offset, proposal) in enumerate(batch):
        offsets = [batch[row][0] for row in earlier[index].rows.tolist()]
        found = chain(
            _matches(remembered[index], of_remembered[index], repeat(BEFORE)),
            _matches(earlier[index], of_earlier[index], offsets),
        )
        others = tuple(one for one in found if one.image_id != proposal.image_id)
        items.append(Item(offset=offset, proposal=proposal, recent=others, model_version=model_version))
    return items


def _earlier(batch: Sequence[tuple[int, Proposal]], queries: Sequence[Code], least: Sequence[int]) -> list[Near]:
    """For each proposal those before it in the batch that it shares enough terms with."""
    near = []
    for index, counts in enumerate(overlaps_of_each(queries, np.stack([query[:, 0] for query in queries]))):
        rows = np.flatnonzero(counts[:index] >= least[index])
        image_ids = [batch[row][1].image_id for row in rows.tolist()]
        near.append(Near(image_ids=image_ids, rows=rows, overlap=counts[rows]))
    return near


def _score(
    scorer: PairScorer,
    batch: Sequence[tuple[int, Proposal]],
    recent: RecentImages,
    remembered: Sequence[Near],
    earlier: Sequence[Near],
) -> tuple[list[Vector], list[Vector], int]:
    """For each proposal the scores of the remembered images, and of those before it in the batch."""
    found = [*remembered, *earlier]
    counts = [len(one.image_ids) for one in found]
    if not any(counts):
        none = [np.empty(0, np.float32)] * len(batch)
        return none, none, 0
    mine = np.stack([proposal.score for _, proposal in batch])
    candidates = [
        recent.scores(np.concatenate([one.rows for one in remembered])),
        mine[np.concatenate([one.rows for one in earlier])],
    ]
    scored = scorer.score(
        PairBatch(
            probes=mine,
            candidates=np.concatenate([each for each in candidates if len(each)]),
            probe_of=np.repeat(np.tile(np.arange(len(batch)), 2), counts),
            overlap=np.concatenate([one.overlap for one in found]),
        )
    )
    values = np.split(scored.values, np.cumsum(counts)[:-1])
    return values[: len(batch)], values[len(batch) :], scored.model_version


def _matches(near: Near, scores: Vector, offsets: Iterable[int]) -> Iterable[RecentMatch]:
    return map(RecentMatch, near.image_ids, near.overlap.tolist(), scores.tolist(), offsets)
