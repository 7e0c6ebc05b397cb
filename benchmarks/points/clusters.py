"""Clusters at the lowest threshold that keeps the wrong share of every collection small."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from neardup.edits.named import EDITS
from neardup.evaluation.figures import found_by_edit, judge
from neardup.evaluation.manifest import Row, originals
from neardup.evaluation.offline import OfflineCorpus

__all__ = ["Outcome", "at_the_limit", "kind_of"]

_WRONG_SHARE: Final = 0.002
_HEAD_BOUND: Final = -2.2
_THRESHOLDS: Final = tuple(np.arange(12, -4.01, -0.25).tolist())
_ORDERS: Final = 2
_EVERYDAY: Final = frozenset(edit.name for edit in EDITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`recall` by kind of copy, all collections and orders together; `wrong_share` of the worst of them; `threshold` is
    a logit."""

    threshold: float
    wrong_share: float
    recall: dict[str, float]


def kind_of(row: Row) -> str:
    """ "everyday", or how hard a harder edit is."""
    return "everyday" if row.edit in _EVERYDAY else row.difficulty


def at_the_limit(corpora: Sequence[OfflineCorpus]) -> Outcome | None:
    """By bisection, as if a lower threshold never had a smaller wrong share. None: no threshold keeps the limit."""
    best: Outcome | None = None
    low, high = 0, len(_THRESHOLDS) - 1
    while low <= high:
        middle = (low + high) // 2
        outcome = _outcome(corpora, _THRESHOLDS[middle])
        if outcome.wrong_share <= _WRONG_SHARE:
            best, low = outcome, middle + 1
        else:
            high = middle - 1
    return best


def _outcome(corpora: Sequence[OfflineCorpus], threshold: float) -> Outcome:
    tallies: dict[str, list[tuple[int, int]]] = defaultdict(list)
    wrong = 0.0
    for corpus in corpora:
        firsts = originals(corpus.rows)
        copies = [
            (kind_of(row), row.image_id, firsts[row.source_id].image_id)
            for row in corpus.rows
            if row is not firsts[row.source_id]
        ]
        for seed in range(_ORDERS):
            heads = corpus.heads(threshold=threshold, head_bound=min(_HEAD_BOUND, threshold), seed=seed)
            wrong = max(wrong, judge({row.image_id: row.source_id for row in corpus.rows}, heads).wrong_share)
            for kind, tally in found_by_edit(copies, heads).items():
                tallies[kind].append(tally)
    recall = {kind: sum(f for f, _ in each) / sum(n for _, n in each) for kind, each in tallies.items()}
    return Outcome(threshold=threshold, wrong_share=wrong, recall=recall)
