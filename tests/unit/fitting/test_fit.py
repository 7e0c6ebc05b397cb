"""Fitting: what comes out is centred, balanced, and finds more."""

import numpy as np
import pytest

from neardup.fitting.comparison import compare
from neardup.fitting.fit import components, distinct, fit, held_out
from neardup.fitting.model import FittedModel
from neardup.fitting.report import Figures, SearchShape, altered
from neardup.projection import Projection, unit_rows
from tests.unit.fitting.made_up import DIMENSION, embeddings

SHAPE = SearchShape(probes=1, candidate_limit=20, minimum_overlap=2)
NO_PAIRS = np.empty((0, 2), dtype=np.intp)


def model_of(projection: Projection, **changes: object) -> FittedModel:
    values: dict[str, object] = {
        "embeddings": "made-up",
        "score_dimension": 8,
        "tables": 32,
        "bits_per_table": 8,
        "seed": 0,
        "projection": projection,
        "origin": "a test",
    }
    return FittedModel(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("with_pairs", [True, False])
def test_the_result_is_centred_and_of_length_one(with_pairs: bool) -> None:
    sample, pairs = embeddings()
    projected = fit(sample, pairs if with_pairs else NO_PAIRS, dimension=24).apply(unit_rows(sample))
    assert projected.shape == (len(sample), 24)
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1, atol=1e-5)
    assert np.linalg.norm(projected.mean(axis=0)) < 0.1


def test_the_same_sample_gives_the_same_model() -> None:
    sample, pairs = embeddings()
    assert fit(sample, pairs, dimension=24).digest == fit(sample.copy(), pairs, dimension=24).digest
    assert fit(sample, pairs, dimension=24).digest != fit(sample, NO_PAIRS, dimension=24).digest


def test_lengths_of_rows_change_nothing() -> None:
    sample, pairs = embeddings()
    factor = 2.0 ** np.random.default_rng(0).integers(-3, 4, (len(sample), 1))
    assert (
        fit(sample * factor.astype(np.float32), pairs, dimension=24).digest == fit(sample, pairs, dimension=24).digest
    )


def test_fitting_balances_terms_and_raises_recall() -> None:
    sample, pairs = embeddings(1500)
    with_pairs = compare(sample, pairs, model_of(fit(sample, pairs, dimension=32)), SHAPE)
    given, fitted = with_pairs["as given"], with_pairs["fitted"]
    assert not given.balanced
    assert fitted.balanced
    assert given.postings[0] > 5 * fitted.postings[0]
    assert given.largest_list > 5 * fitted.largest_list
    assert fitted.recall["known pairs"][0] > given.recall["known pairs"][0] + 0.1
    alone = compare(sample[:1500], NO_PAIRS, model_of(fit(sample[:1500], NO_PAIRS, dimension=32)), SHAPE)["fitted"]
    assert alone.balanced
    assert set(alone.recall) == {f"made up, cosine {cosine}" for cosine in (0.9, 0.8, 0.7)}


def test_figures_of_even_embeddings_are_the_ideal() -> None:
    """Directions drawn evenly: theory says what to expect."""
    sample = np.random.default_rng(0).normal(size=(3000, DIMENSION)).astype(np.float32)
    figures: Figures = compare(sample, NO_PAIRS, model_of(fit(sample, NO_PAIRS, dimension=DIMENSION)), SHAPE)["fitted"]
    assert figures.ideal == (1_000_000 * 32 * 2 / 256, 100_000_000 * 32 * 2 / 256)
    assert figures.postings[0] == pytest.approx(figures.ideal[0], rel=0.05)
    assert figures.largest_list <= 1.5 * figures.largest_by_chance
    assert figures.cutoffs[0] <= figures.cutoffs[1] <= 32
    assert figures.recall["made up, cosine 0.9"][0] > figures.recall["made up, cosine 0.7"][0]
    assert figures.recall["made up, cosine 0.9"][0] >= figures.recall["made up, cosine 0.9"][1]


def test_made_up_copies_keep_the_stated_cosine() -> None:
    sample, _ = embeddings()
    rows = unit_rows(sample).astype(np.float64)
    copies = altered(sample, cosine=0.8).astype(np.float64)
    first, second = rows - rows.mean(axis=0), copies - rows.mean(axis=0)
    cosines = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    np.testing.assert_allclose(cosines, 0.8, atol=1e-3)


def test_pairs_of_one_group_judge_or_teach_together() -> None:
    pairs = np.array([(0, 1), (1, 2), (3, 4), (5, 6), (7, 8), (3, 9)], dtype=np.intp)
    groups = components(10, pairs)
    assert groups[0] == groups[2]
    assert groups[0] != groups[3]
    judging = held_out(groups, pairs, share=0.5)
    assert judging.any()
    assert not judging.all()
    for group in np.unique(groups[pairs[:, 0]]):
        assert len(set(judging[groups[pairs[:, 0]] == group])) == 1


def test_unnamed_near_duplicates_are_left_out_of_the_corpus() -> None:
    sample, _ = embeddings(300)
    twice = np.concatenate([sample[:300], sample[:50] * 2])
    assert len(distinct(twice, np.arange(350))) <= 300
    assert set(distinct(twice, np.arange(350))) >= set(distinct(sample[:300], np.arange(300))[:10])
