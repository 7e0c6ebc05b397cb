"""Pair features, the network's gradient, its training and its ONNX twin."""

import numpy as np
import onnxruntime
import pytest

from neardup.lsh import LshModel, overlaps
from neardup.types import PairBatch
from scorer.evaluation import bounds, report
from scorer.features import cosine, overlap_feature, squared_differences
from scorer.network import Network, to_onnx
from scorer.training import EmbeddedCopies, candidate_pairs, fit_network

RNG = np.random.default_rng(11)


def random_pairs(count: int, dimension: int = 24) -> PairBatch:
    probes = RNG.normal(size=(count, dimension)).astype(np.float32)
    candidates = (probes + RNG.normal(scale=0.3, size=probes.shape)).astype(np.float32)
    return PairBatch(probes=probes, candidates=candidates, overlap=RNG.integers(0, 65, count).astype(np.int32))


def blocks(images: int, copies: int, *, noise: float = 0.02, dimension: int = 64) -> EmbeddedCopies:
    originals = RNG.normal(size=(images, 1, dimension))
    originals /= np.linalg.norm(originals, axis=2, keepdims=True)
    rows = originals + RNG.normal(scale=noise, size=(images, 1 + copies, dimension))
    lsh = rows.astype(np.float32)
    return EmbeddedCopies(lsh, lsh)


def test_features_do_not_care_which_is_the_probe() -> None:
    batch = random_pairs(30)
    swapped = PairBatch(probes=batch.candidates, candidates=batch.probes, overlap=batch.overlap)
    for feature in (squared_differences, cosine, overlap_feature):
        np.testing.assert_array_equal(feature(batch), feature(swapped))


def test_cosine_of_nothing_is_zero() -> None:
    batch = PairBatch(
        probes=np.zeros((1, 4), np.float32), candidates=np.ones((1, 4), np.float32), overlap=np.zeros(1, np.int32)
    )
    assert cosine(batch).tolist() == [0.0]


def test_the_gradient_is_that_of_the_loss() -> None:
    batch = random_pairs(40)
    network = Network.initial(24, seed=1)
    truth = (RNG.uniform(size=40) < 0.5).astype(np.float32)
    _, gradient = network.gradient(batch, truth)
    for array, slope in zip(network.arrays(), gradient.arrays(), strict=True):
        place = np.unravel_index(np.abs(slope).argmax(), slope.shape)
        kept, step = array[place], 1e-2
        array[place] = kept + step
        above, _ = network.gradient(batch, truth)
        array[place] = kept - step
        below, _ = network.gradient(batch, truth)
        array[place] = kept
        assert (above - below) / (2 * step) == pytest.approx(slope[place], rel=0.03)


def test_onnx_computes_the_same() -> None:
    batch = random_pairs(100)
    network = Network.initial(24, seed=2)
    session = onnxruntime.InferenceSession(to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {
        "probe": batch.probes,
        "candidate": batch.candidates,
        "overlap": batch.overlap[:, None].astype(np.float32),
    }
    np.testing.assert_allclose(session.run(["score"], feeds)[0], network.score(batch), atol=2e-6)


def test_candidate_pairs_are_those_of_an_exact_search() -> None:
    copies = blocks(12, 3)
    lsh = LshModel(dimension=64, embedding_version="test", tables=16, bits_per_table=6)
    rows = np.arange(len(copies.owner))
    pairs = candidate_pairs(copies, lsh, probes=rows, corpus=rows, limit=5)
    assert not (pairs.probe == pairs.candidate).any()
    assert (pairs.truth == (pairs.probe // 4 == pairs.candidate // 4)).all()
    query = lsh.query_codes(copies.lsh_rows[7:8])[0]
    counts = overlaps(query, lsh.codes(copies.lsh_rows))
    counts[7] = 0
    mine = pairs.probe == 7
    assert sorted(pairs.overlap[mine].tolist(), reverse=True) == sorted(counts.tolist(), reverse=True)[: mine.sum()]
    np.testing.assert_array_equal(pairs.overlap[mine], counts[pairs.candidate[mine]])


def test_training_learns_calibrates_and_repeats() -> None:
    lsh = LshModel(dimension=64, embedding_version="test", tables=32, bits_per_table=4)
    train, held_out = blocks(60, 4), blocks(40, 4)
    rows = np.arange(len(train.owner))
    pairs = candidate_pairs(train, lsh, probes=rows, corpus=rows, limit=30)
    losses: list[float] = []
    network = fit_network(train, pairs, seed=4, epochs=6, advance=losses.append)
    assert losses[-1] < 0.3 * losses[0]
    again = fit_network(train, pairs, seed=4, epochs=6, advance=lambda _: None)
    np.testing.assert_array_equal(network.metric, again.metric)
    threshold, head_bound = bounds(network, held_out, blocks(50, 0), lsh)
    assert 0 < head_bound <= threshold < 1
    figures = report(network, held_out, lsh, threshold=threshold, edits=["a", "b", "c", "d"])
    assert figures["precision"] > 0.99
    assert figures["recall of originals"] > 0.95
