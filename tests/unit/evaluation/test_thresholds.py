"""Bounds chosen from the clusters of known pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.evaluation.figures import judge
from neardup.evaluation.thresholds import Limits, PicturePairs, Trial, choose, picture_pairs, precision_bound
from neardup.types import ImageId

LIMITS = Limits(precision=0.99, worst_precision=0.95, worst_wrong_share=0.01)


def trial(threshold: float, **changes: float) -> Trial:
    values = {"precision": 1.0, "precision_bound": 0.999, "worst_precision": 1.0, "worst_wrong_share": 0.0}
    values |= {"head_bound": 0.1, "recall": 1 - threshold, **changes}
    return Trial(threshold=threshold, **values)


def test_the_highest_recall_within_the_limits() -> None:
    trials = [trial(0.5, precision_bound=0.98), trial(0.7), trial(0.9)]
    assert choose(trials, LIMITS) == trials[1]


@pytest.mark.parametrize("bad", [{"precision_bound": 0.9}, {"worst_precision": 0.9}, {"worst_wrong_share": 0.02}])
def test_each_limit_bars(bad: dict[str, float]) -> None:
    assert choose([trial(0.5, **bad), trial(0.9)], LIMITS) == trial(0.9)
    assert choose([trial(0.9, **bad)], LIMITS) is None


def test_what_holds_below_one_that_does_not_is_luck() -> None:
    trials = [trial(0.5), trial(0.7, worst_precision=0.5), trial(0.9)]
    assert choose(trials, LIMITS) == trials[2]
    other_head_bound = trial(0.6, head_bound=0.3)
    assert choose([*trials, other_head_bound], LIMITS) == other_head_bound


def test_of_equal_recall_the_strictest() -> None:
    assert choose([trial(0.7, recall=0.5), trial(0.9, recall=0.5)], LIMITS) == trial(0.9, recall=0.5)
    assert choose([], LIMITS) is None


clusterings = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=14)


@given(clusterings)
def test_pictures_share_the_pairs_of_the_clusters(images: list[tuple[str, int]]) -> None:
    truth = {ImageId(str(number)): source_id for number, (source_id, _) in enumerate(images)}
    heads = {ImageId(str(number)): ImageId(f"head {cluster}") for number, (_, cluster) in enumerate(images)}
    shares = picture_pairs(truth, heads)
    assert set(shares) == {source_id for source_id, _ in images}
    right, wrong = sum(share.right for share in shares.values()), sum(share.wrong for share in shares.values())
    expected = right / (right + wrong) if right + wrong else 1.0
    assert judge(truth, heads).precision == pytest.approx(expected)


def test_the_bound_is_below_the_precision_and_rises_with_what_is_known() -> None:
    def bound(pictures: int, *, confidence: float = 0.95) -> float:
        wrong = np.zeros(pictures)
        wrong[::10] = 20
        return precision_bound([PicturePairs(right=100, wrong=w) for w in wrong.tolist()], confidence=confidence)

    assert bound(20) < bound(200) < bound(2000) < 100 / 102
    assert bound(200, confidence=0.99) < bound(200, confidence=0.9)


def test_no_wrong_pair_is_no_certainty() -> None:
    none_wrong = PicturePairs(right=10, wrong=0)
    assert precision_bound([none_wrong] * 3, confidence=0.95) == pytest.approx(30 / 31)
    assert 0.999 < precision_bound([none_wrong] * 300, confidence=0.95) < 1
