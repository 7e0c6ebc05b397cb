"""When several members of a cluster speak enough for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.witnesses import convincing

PROBABILITIES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("scores", "enough"),
    [
        ([], False),
        ([0.99], True),
        ([0.9899], False),
        # 19 to 1 and 6 to 1 are 114 to 1; 99 to 1 is asked for.
        ([0.95, 0.86], True),
        ([0.9, 0.9], False),
        ([0.83, 0.83, 0.83], True),
        ([0.8, 0.8, 0.8], False),
        # A fourth is not heard.
        ([0.8] * 50, False),
        ([1.0, 0.5], True),
    ],
)
def test_log_odds_add_up(scores: list[float], enough: bool) -> None:
    assert convincing(scores, 0.99) == enough


def test_nothing_but_certainty_reaches_a_threshold_of_one() -> None:
    assert not convincing([0.9999] * 3, 1.0)
    assert convincing([1.0], 1.0)


@given(st.lists(PROBABILITIES, min_size=1, max_size=6), st.floats(0.001, 1))
def test_one_at_the_threshold_is_enough_whatever_the_others_say(scores: list[float], threshold: float) -> None:
    assert convincing([*scores, threshold], threshold)


@given(st.lists(st.floats(0.5, 1), max_size=6), st.floats(0.5, 1), st.floats(0.5, 1))
def test_one_more_never_takes_away(scores: list[float], more: float, threshold: float) -> None:
    assert convincing([*scores, more], threshold) or not convincing(scores, threshold)
