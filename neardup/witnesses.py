"""Whether the members of a cluster that an image resembles speak enough for it. Pure.

Scores are probabilities, so what several members say adds up as log odds (Good, "Probability and the Weighing of
Evidence", 1950). Copies of one image are no independent witnesses, so only the best few are heard.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from neardup.types import ClusterId

__all__ = ["convincing", "matched"]

_HEARD: Final = 3


def matched(said: Iterable[tuple[ClusterId, float]], match_threshold: float) -> set[ClusterId]:
    """The clusters that an image matches. `said`: of every member that counts, its cluster and its score."""
    scores: dict[ClusterId, list[float]] = defaultdict(list)
    for cluster_id, score in said:
        scores[cluster_id].append(score)
    return {cluster_id for cluster_id, its in scores.items() if convincing(its, match_threshold)}


def convincing(scores: Iterable[float], match_threshold: float) -> bool:
    """`scores`: of an image with members of one cluster. Whether the best is at or above the threshold, or the best
    three together say as much as one that is."""
    best = heapq.nlargest(_HEARD, scores)
    if not best:
        return False
    return best[0] >= match_threshold or sum(map(_log_odds, best)) >= _log_odds(match_threshold)


def _log_odds(probability: float) -> float:
    if 0 < probability < 1:
        return math.log(probability / (1 - probability))
    return math.copysign(math.inf, probability - 0.5)
