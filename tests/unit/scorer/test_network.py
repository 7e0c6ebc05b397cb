"""Pair features, the network and its ONNX twin, pairs to train on, thresholds and reports."""

from dataclasses import asdict, replace

import numpy as np
import onnx
import onnxruntime
import pytest

from neardup.embedder.signs import MIRRORED, SIGNS
from neardup.errors import ConfigError
from neardup.lsh import LshModel, overlaps
from neardup.types import PairBatch, Vector
from scorer.evaluation import bounds, report
from scorer.features import agreement, cosine, overlap_feature, squared_differences
from scorer.network import KNOTS, UNITS, WEIGHINGS, network_of, to_onnx
from scorer.training import EmbeddedCopies, Lesson, candidate_pairs
from tests.models import a_network

RNG = np.random.default_rng(11)
EVEN = np.full((SIGNS, 1), 1 / SIGNS, np.float32)


def some_signs(count: int) -> Vector:
    return RNG.choice([-1, 1], size=(count, SIGNS)).astype(np.float32)


def random_pairs(count: int, dimension: int = 24) -> PairBatch:
    content = RNG.normal(size=(count, dimension))
    other = content + RNG.normal(scale=0.3, size=content.shape)
    signs = some_signs(count)
    changed = signs * np.where(RNG.uniform(size=signs.shape) < RNG.uniform(0, 0.6, size=(count, 1)), -1, 1)
    return PairBatch(
        probes=np.concatenate([content, signs], axis=1).astype(np.float32),
        candidates=np.concatenate([other, changed], axis=1).astype(np.float32),
        overlap=RNG.integers(0, 65, count).astype(np.int32),
    )


def blocks(images: int, copies: int, *, noise: float = 0.02, dimension: int = 64) -> EmbeddedCopies:
    originals = RNG.normal(size=(images, 1, dimension))
    originals /= np.linalg.norm(originals, axis=2, keepdims=True)
    lsh = (originals + RNG.normal(scale=noise, size=(images, 1 + copies, dimension))).astype(np.float32)
    signs = np.repeat(some_signs(images)[:, None], 1 + copies, axis=1)
    signs *= np.where(RNG.uniform(size=signs.shape) < 0.05, -1, 1).astype(np.float32)
    return EmbeddedCopies(lsh, np.concatenate([lsh, signs], axis=2))


def test_features_do_not_care_which_is_the_probe() -> None:
    batch = random_pairs(30)
    swapped = PairBatch(probes=batch.candidates, candidates=batch.probes, overlap=batch.overlap)
    for feature in (squared_differences, cosine, overlap_feature):
        np.testing.assert_array_equal(feature(batch), feature(swapped))
    np.testing.assert_array_equal(agreement(batch, EVEN), agreement(swapped, EVEN))


def test_signs_agree_straight_and_mirrored() -> None:
    signs = some_signs(5)
    mirrored = signs * np.where(MIRRORED, -1, 1).astype(np.float32)
    for other in (signs, mirrored):
        batch = PairBatch(probes=signs, candidates=other, overlap=np.zeros(5, np.int32))
        np.testing.assert_allclose(agreement(batch, EVEN), 1, atol=1e-6)
    apart = PairBatch(probes=signs, candidates=-signs, overlap=np.zeros(5, np.int32))
    assert (agreement(apart, EVEN) < 0.05).all()


def test_cosine_of_nothing_is_zero() -> None:
    batch = PairBatch(
        probes=np.zeros((1, 4 + SIGNS), np.float32),
        candidates=np.ones((1, 4 + SIGNS), np.float32),
        overlap=np.zeros(1, np.int32),
    )
    assert cosine(batch).tolist() == [0.0]


def test_less_alike_never_scores_higher() -> None:
    network = a_network()
    batch = random_pairs(60)
    step = batch.candidates - batch.probes
    step[:, -SIGNS:] = 0
    further = replace(batch, candidates=batch.candidates + step)
    # The cosine of what is further along a line from the probe is lower too.
    assert (network.logits(further) <= network.logits(batch) + 1e-4).all()
    same = replace(batch, candidates=np.concatenate([batch.candidates[:, :-SIGNS], batch.probes[:, -SIGNS:]], axis=1))
    assert (network.logits(same) >= network.logits(batch) - 1e-4).all()


def test_onnx_computes_the_same() -> None:
    batch = random_pairs(100)
    network = a_network()
    session = onnxruntime.InferenceSession(to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {
        "probe": batch.probes,
        "candidate": batch.candidates,
        "overlap": batch.overlap[:, None].astype(np.float32),
    }
    np.testing.assert_allclose(session.run(["score"], feeds)[0], network.score(batch), atol=3e-6)


def test_the_network_is_found_in_its_model() -> None:
    network = a_network()
    for name, found in asdict(network_of(to_onnx(network))).items():
        np.testing.assert_array_equal(found, getattr(network, name))
    other = onnx.ModelProto()
    with pytest.raises(ConfigError, match="its graph is another"):
        network_of(other)


def test_rescaled_logits() -> None:
    batch = random_pairs(20)
    network = a_network()
    np.testing.assert_allclose(
        network.rescaled(0.5, -2).logits(batch), network.logits(batch) * 0.5 - 2, rtol=1e-4, atol=1e-4
    )


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


def test_judged_pairs_are_learned_from_as_well() -> None:
    copies, judged = blocks(6, 2), blocks(4, 1)
    lsh = LshModel(dimension=64, embedding_version="test", tables=16, bits_per_table=6)
    rows = np.arange(len(copies.owner))
    before = Lesson(copies.score_rows, copies.owner, candidate_pairs(copies, lsh, probes=rows, corpus=rows, limit=5))
    same = np.array([True, False, True, True])
    after = before.with_judged(judged, same, lsh)
    added = slice(len(before.pairs.probe), None)
    batch = after.pairs.batch(after.score_rows, added)
    np.testing.assert_array_equal(batch.probes, judged.score[:, 0])
    np.testing.assert_array_equal(batch.candidates, judged.score[:, 1])
    assert after.pairs.truth[added].tolist() == same.tolist()
    assert (after.pairs.overlap[added] > 0).all()
    assert len(set(after.owner.tolist())) == 6 + 8


def test_bounds_and_report_of_a_network_that_tells_apart() -> None:
    lsh = LshModel(dimension=64, embedding_version="test", tables=32, bits_per_table=4)
    weights = np.zeros(UNITS + WEIGHINGS * KNOTS + 2, np.float32)
    weights[-2] = 20
    network = replace(a_network(64), weights=weights, bias=np.array([-12], np.float32))
    held_out = blocks(40, 4)
    threshold, head_bound = bounds(network, held_out, blocks(50, 0), lsh)
    assert 0 < head_bound <= threshold < 1
    figures = report(network, held_out, lsh, threshold=threshold, edits=["a", "b", "c", "d"])
    assert figures["precision"] > 0.99
    assert figures["recall of originals"] > 0.95
