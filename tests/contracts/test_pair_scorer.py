"""The port PairScorer: the in-memory one, and the client with a real server in another process."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from neardup.errors import ConfigError
from neardup.ports import PairScorer
from neardup.testing import CosineScorer
from neardup.types import PairBatch, Vector
from scorer.client import TensorFlowServingScorer
from tests.prediction_server import prediction_server

DIMENSION = 1055


@pytest.fixture(scope="module", params=["memory", pytest.param("server", marks=pytest.mark.integration)])
def scorer(request: pytest.FixtureRequest) -> Iterator[PairScorer]:
    if request.param == "memory":
        yield CosineScorer()
        return
    with (
        prediction_server() as server,
        TensorFlowServingScorer(endpoint=server.endpoint, timeout_seconds=30, batch_rows=64) as client,
    ):
        yield client


def pairs(count: int, *, distance: float | Vector = 0.5, seed: int = 0) -> PairBatch:
    """Unit vectors and others at a given distance from them."""
    rng = np.random.default_rng(seed)
    probes = rng.normal(size=(count, DIMENSION))
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    step = rng.normal(size=(count, DIMENSION))
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    return PairBatch.of_pairs(
        probes=probes.astype(np.float32),
        candidates=(probes + np.reshape(distance, (-1, 1)) * step).astype(np.float32),
        overlap=rng.integers(1, 64, count).astype(np.int32),
    )


def test_one_probability_a_pair(scorer: PairScorer) -> None:
    scores = scorer.score(pairs(7))
    assert scores.values.shape == (7,)
    assert scores.values.dtype == np.float32
    assert ((scores.values >= 0) & (scores.values <= 1)).all()


def test_an_empty_batch_names_the_model_version(scorer: PairScorer) -> None:
    empty = PairBatch.of_pairs(
        probes=np.empty((0, DIMENSION), np.float32),
        candidates=np.empty((0, DIMENSION), np.float32),
        overlap=np.empty(0, np.int32),
    )
    scores = scorer.score(empty)
    assert scores.values.shape == (0,)
    assert scores.model_version == scorer.score(pairs(1)).model_version


def test_calibration_of_the_served_version(scorer: PairScorer) -> None:
    version = scorer.score(pairs(1)).model_version
    calibration = scorer.calibration(version)
    assert calibration.model_version == version
    assert 0 < calibration.head_bound <= calibration.match_threshold <= 1


def test_calibration_of_an_unknown_version(scorer: PairScorer) -> None:
    with pytest.raises(ConfigError, match="987654"):
        scorer.calibration(987654)


def test_equal_embeddings_match_and_opposite_ones_do_not(scorer: PairScorer) -> None:
    equal = pairs(20, distance=0.0)
    threshold = scorer.calibration(scorer.score(equal).model_version).match_threshold
    assert (scorer.score(equal).values >= threshold).all()
    opposite = PairBatch.of_pairs(probes=equal.probes, candidates=-equal.probes, overlap=equal.overlap)
    assert (scorer.score(opposite).values < threshold).all()


def test_further_apart_is_never_more_alike(scorer: PairScorer) -> None:
    distances = np.linspace(0, 1.5, 40, dtype=np.float32)
    one = pairs(1)
    step = one.candidates[0] - one.probes[0]
    probes = np.repeat(one.probes, 40, axis=0)
    batch = PairBatch.of_pairs(
        probes=probes, candidates=probes + distances[:, None] * step / 0.5, overlap=np.full(40, 20, np.int32)
    )
    values = scorer.score(batch).values
    assert (np.diff(values) <= 1e-6).all()
    assert values[0] > values[-1]


def test_probe_and_candidate_may_change_places(scorer: PairScorer) -> None:
    batch = pairs(50)
    swapped = PairBatch.of_pairs(probes=batch.candidates, candidates=batch.probes, overlap=batch.overlap)
    np.testing.assert_array_equal(scorer.score(batch).values, scorer.score(swapped).values)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_a_pair_has_one_score_wherever_it_stands(scorer: PairScorer, count: int) -> None:
    whole = scorer.score(pairs(200, distance=0.4)).values
    order = np.random.default_rng(count).permutation(200)[:count]
    np.testing.assert_array_equal(scorer.score(pairs(200, distance=0.4).part(order)).values, whole[order])


@pytest.mark.parametrize("counts", [(1, 0, 8, 9), (0, 70, 3, 0)])
def test_a_probe_is_given_once_for_all_its_candidates(scorer: PairScorer, counts: tuple[int, ...]) -> None:
    probe_of = np.repeat(np.arange(4), counts)
    every = pairs(len(probe_of), distance=0.4)
    batch = replace(every, probes=every.probes[:4], probe_of=probe_of)
    alone = PairBatch.of_pairs(probes=every.probes[probe_of], candidates=every.candidates, overlap=every.overlap)
    np.testing.assert_array_equal(scorer.score(batch).values, scorer.score(alone).values)
