"""Which match threshold and head bound to take, from what the clusters of known pictures would be. Pure.

Quality is judged on clusters and not on pairs: one wrong pair can join two clusters. Every collection (source) is
judged by itself, and the worst one counts.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neardup.types import ImageId

__all__ = ["Limits", "PicturePairs", "Trial", "choose", "picture_pairs", "precision_bound"]

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePairs:
    """Of the pairs of images in one cluster: those of this picture alone, and its half of those with another one."""

    right: int
    wrong: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What two bounds come to. `precision` of pairs over all sources, its lower `precision_bound`; `worst_precision`
    and `worst_wrong_share` of the worst source; `recall`: copies with their original, the mean over sources."""

    threshold: float
    head_bound: float
    precision: float
    precision_bound: float
    worst_precision: float
    worst_wrong_share: float
    recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What must hold: the lower bound of the precision over all sources, and what the worst source may do."""

    precision: float
    worst_precision: float
    worst_wrong_share: float

    def hold(self, trial: Trial) -> bool:
        """Whether they do."""
        return (
            trial.precision_bound >= self.precision
            and trial.worst_precision >= self.worst_precision
            and trial.worst_wrong_share <= self.worst_wrong_share
        )


def choose(trials: Sequence[Trial], limits: Limits) -> Trial | None:
    """The trial of the highest recall within the limits, of equal ones the strictest; None when none is.

    A threshold counts only if all higher ones with its head bound hold as well: what holds by luck between two that do
    not is no choice.
    """
    good: list[Trial] = []
    by_bound: dict[float, list[Trial]] = defaultdict(list)
    for trial in trials:
        by_bound[trial.head_bound].append(trial)
    for each in by_bound.values():
        for trial in sorted(each, key=lambda trial: -trial.threshold):
            if not limits.hold(trial):
                break
            good.append(trial)
    return max(good, key=lambda trial: (trial.recall, trial.threshold, trial.head_bound), default=None)


def picture_pairs(truth: Mapping[ImageId, str], heads: Mapping[ImageId, ImageId]) -> dict[str, PicturePairs]:
    """`truth`: image -> source_id; `heads`: image -> head. Every source_id gets its share."""
    clusters: dict[ImageId, Counter[str]] = defaultdict(Counter)
    for image_id, source_id in truth.items():
        clusters[heads.get(image_id, image_id)][source_id] += 1
    right: Counter[str] = Counter()
    wrong: dict[str, float] = defaultdict(float)
    for members in clusters.values():
        size = members.total()
        for source_id, count in members.items():
            right[source_id] += count * (count - 1) // 2
            wrong[source_id] += count * (size - count) / 2
    return {
        source_id: PicturePairs(right=right[source_id], wrong=wrong[source_id]) for source_id in set(truth.values())
    }


def precision_bound(pictures: Sequence[PicturePairs], *, confidence: float, seed: int = 0) -> float:
    """The precision of pairs that holds with this confidence: the quantile over resampled pictures (bootstrap; Efron,
    1979). Copies of one picture stand or fall together, so the picture is what is drawn.

    One more pair is taken as wrong in every resample: without any wrong pair, resampling could not say how lucky that
    is.
    """
    right = np.array([each.right for each in pictures], np.float64)
    wrong = np.array([each.wrong for each in pictures], np.float64)
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(pictures), (_RESAMPLES, len(pictures)))
    precisions = [right[drawn].sum() / (right[drawn].sum() + wrong[drawn].sum() + 1) for drawn in draws]
    return float(np.quantile(precisions, 1 - confidence))
