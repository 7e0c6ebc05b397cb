"""How well embedding, terms, candidates and scores work together, on pictures that trained none of them.

Blocks hold the original and one copy for each fixed edit.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from neardup.lsh import LshModel
from scorer.calibration import choose_threshold, probability_scale
from scorer.network import Network
from scorer.training import EmbeddedCopies, Pairs, candidate_pairs

__all__ = ["all_pairs", "bounds", "report", "with_probabilities"]

_PRECISION: Final = 0.9995
_OTHERS_WEIGHT: Final = 3.0
_LIMIT: Final = 200
_HEAD_SHARE: Final = 0.02


def all_pairs(copies: EmbeddedCopies, lsh: LshModel) -> Pairs:
    """Every row with its candidates among all others."""
    rows = np.arange(len(copies.owner))
    return candidate_pairs(copies, lsh, probes=rows, corpus=rows, limit=_LIMIT)


def with_probabilities(network: Network, copies: EmbeddedCopies, others: EmbeddedCopies, lsh: LshModel) -> Network:
    """The network whose scores are the shares of true pairs among the candidate pairs with that score: its logits
    stretched and shifted (Platt, "Probabilistic outputs for support vector machines", 1999).

    Candidate pairs are those of `copies`, and of `others`, pictures without copies, whose pairs are all wrong: what a
    corpus brings up in which most images are no copies.
    """
    pairs, apart = all_pairs(copies, lsh), all_pairs(others, lsh)
    logits = [network.logits(pairs.batch(copies.score_rows)), network.logits(apart.batch(others.score_rows))]
    return network.rescaled(*probability_scale(np.concatenate(logits), np.concatenate([pairs.truth, apart.truth])))


def bounds(network: Network, copies: EmbeddedCopies, others: EmbeddedCopies, lsh: LshModel) -> tuple[float, float]:
    """Match threshold and head bound.

    `others`: pictures without copies, all distinct; their most similar pairs are the wrong ones to be told apart.
    The threshold holds a precision of 0.9995 with every wrong pair counted three times (a served corpus has more
    look-alikes than the pictures here). The head bound is the score below which only 2 % of the true pairs with an
    original lie: a member that is less like its head than that came by a chain.
    """
    pairs = all_pairs(copies, lsh)
    scores = network.score(pairs.batch(copies.score_rows))
    apart = all_pairs(others, lsh)
    wrong = np.concatenate([scores[~pairs.truth], network.score(apart.batch(others.score_rows))])
    threshold = choose_threshold(scores[pairs.truth], wrong, precision=_PRECISION, others_weight=_OTHERS_WEIGHT)
    width = copies.lsh.shape[1]
    with_head = pairs.truth & (pairs.candidate % width == 0)
    head_bound = min(threshold, float(np.quantile(scores[with_head], _HEAD_SHARE)))
    return round(threshold, 4), round(max(head_bound, 0.01), 4)


def report(
    network: Network, copies: EmbeddedCopies, lsh: LshModel, *, threshold: float, edits: Sequence[str]
) -> dict[str, Any]:
    """Precision of all candidate pairs; for each of `edits` (names, in the order of the copies), the share of copies
    whose original is among the candidates (`candidate`) and is matched (`match`)."""
    pairs = all_pairs(copies, lsh)
    scores = network.score(pairs.batch(copies.score_rows))
    matched = scores >= threshold
    width = copies.lsh.shape[1]
    to_original = pairs.truth & (pairs.candidate % width == 0)
    pictures = copies.lsh.shape[0]
    by_edit = {}
    for number, edit in enumerate(edits, start=1):
        mine = to_original & (pairs.probe % width == number)
        by_edit[edit] = {
            "candidate": round(float(mine.sum()) / pictures, 4),
            "match": round(float((mine & matched).sum()) / pictures, 4),
        }
    return {
        "pictures": pictures,
        "threshold": threshold,
        "pairs": len(pairs.truth),
        "precision": round(float((matched & pairs.truth).sum() / max(1, matched.sum())), 5),
        "wrong pairs": int((matched & ~pairs.truth).sum()),
        "recall of candidates": round(float((matched & pairs.truth).sum() / pairs.truth.sum()), 4),
        "recall of originals": round(float(np.mean([edit["match"] for edit in by_edit.values()])), 4),
        "edits": by_edit,
    }
