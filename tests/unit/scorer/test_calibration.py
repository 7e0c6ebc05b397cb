"""The match threshold and its file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.errors import ConfigError
from scorer.calibration import CalibrationRecord, choose_threshold, load, probability_scale, save

scores = st.lists(st.integers(0, 100), max_size=40).map(lambda values: np.array(values, np.float32) / 100)


@given(matches=scores, others=scores, precision=st.sampled_from([0.5, 0.9, 0.999]))
def test_the_precision_holds_from_the_threshold_on(matches: np.ndarray, others: np.ndarray, precision: float) -> None:
    threshold = choose_threshold(matches, others, precision=precision)
    for bound in {*matches[matches >= threshold].tolist(), *others[others >= threshold].tolist()} - {1.0}:
        right, wrong = (matches >= bound).sum(), (others >= bound).sum()
        assert right >= precision * (right + wrong)


@given(matches=scores, others=scores, more=scores)
def test_more_of_the_others_never_lower_it(matches: np.ndarray, others: np.ndarray, more: np.ndarray) -> None:
    before = choose_threshold(matches, others, precision=0.9)
    assert choose_threshold(matches, np.concatenate([others, more]), precision=0.9) >= before


@given(matches=scores, others=scores, first=st.floats(0, 1), second=st.floats(0, 1))
def test_a_higher_precision_never_lowers_it(
    matches: np.ndarray, others: np.ndarray, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    assert choose_threshold(matches, others, precision=low) <= choose_threshold(matches, others, precision=high)


def test_a_known_case() -> None:
    matches = np.array([0.9, 0.8, 0.7, 0.3], np.float32)
    others = np.array([0.6, 0.2, 0.1], np.float32)
    assert choose_threshold(matches, others, precision=1.0) == pytest.approx(0.7)
    assert choose_threshold(matches, others, precision=0.75) == pytest.approx(0.3)
    assert choose_threshold(matches, others, precision=0.75, others_weight=9) == pytest.approx(0.7)
    assert choose_threshold(np.array([0.5], np.float32), np.array([0.9], np.float32), precision=0.9) == 1.0


def test_scores_become_probabilities() -> None:
    rng = np.random.default_rng(1)
    true_logits = rng.normal(-1, 3, 40_000)
    truth = rng.uniform(size=len(true_logits)) < 1 / (1 + np.exp(-true_logits))
    slope, shift = probability_scale((true_logits * 2.5 + 4).astype(np.float32), truth)
    assert slope == pytest.approx(1 / 2.5, rel=0.05)
    assert shift == pytest.approx(-4 / 2.5, rel=0.05)


def test_scores_that_tell_all_apart_stay_finite() -> None:
    slope, shift = probability_scale(np.array([-3, -2, 2, 3], np.float32), np.array([False, False, True, True]))
    assert 0 < slope < 100
    assert abs(shift) < 100
    assert probability_scale(np.array([1, 2], np.float32), np.array([True, True])) == (1.0, 0.0)


def record(**changes: object) -> CalibrationRecord:
    values = {"model_version": 3, "match_threshold": 0.9, "witness_bound": 0.6, "head_bound": 0.4, "obtained": "a test"}
    return CalibrationRecord.model_validate({**values, **changes})


def test_save_and_load(tmp_path: Path) -> None:
    save(record(), tmp_path)
    assert load(tmp_path) == record()
    calibration = load(tmp_path).calibration()
    assert (calibration.model_version, calibration.match_threshold, calibration.head_bound) == (3, 0.9, 0.4)
    assert calibration.witness_bound == 0.6
    assert record(witness_bound=None).calibration().witness_bound == 0.9


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "file"),
        ("{}", "model_version: Field required"),
        (record().model_dump_json().replace("0.9", "1.9"), "match_threshold"),
        (record().model_dump_json().replace("0.4", "0.95"), "head_bound 0.95 is above"),
        (record().model_dump_json().replace("0.6", "0.95"), "witness_bound 0.95 is above"),
        (record().model_dump_json().replace("0.6", "0.45"), "witness_bound"),
        (record().model_dump_json().replace("obtained", "gained"), "obtained"),
    ],
)
def test_files_that_will_not_do(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(ConfigError, match=reason):
        load(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*calibration\.json"):
        load(tmp_path)
