"""Pair features, the network and its ONNX twin, pairs to train on, thresholds and reports."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from PIL import Image

from neardup.demo.corpus import sample_photos
from neardup.embedder.signs import MIRRORED, SIGNS
from neardup.embedder.thumbnail import THUMBNAIL, thumbnail
from neardup.embedder.whitening import shipped_whitening
from neardup.errors import ConfigError
from neardup.lsh import LshModel, overlaps
from neardup.messages import half
from neardup.points.describe import describe
from neardup.points.packing import POINTS, pack
from neardup.types import PairBatch, Vector
from scorer.evaluation import bounds, report
from scorer.fusion import EVIDENCE, fit_trust
from scorer.groups import grouped
from scorer.network import AFTER_CONTENT, LATER, Network, first_sight, sight
from scorer.onnx_network import first_sight_to_onnx, network_of, to_onnx
from scorer.ops import NUMPY
from scorer.training import EmbeddedCopies, Lesson, Pairs, candidate_pairs, near_copies
from tests.models import a_network

RNG = np.random.default_rng(11)
PHOTOS = [Image.open(sample_photos()[number]).convert("RGB") for number in (0, 1, 2, 3)]


def some_signs(count: int) -> npt.NDArray[np.bool_]:
    return RNG.random((count, SIGNS)) < 0.5


def with_looks(content: npt.NDArray[np.floating], signs: npt.NDArray[np.bool_], looks: Vector) -> Vector:
    """Score embeddings."""
    return np.concatenate([content, pack(signs), looks], axis=1).astype(np.float32)


def looks_of(photos: Sequence[Image.Image]) -> Vector:
    """Points and thumbnails."""
    points = shipped_whitening().axes.points(np.stack([describe(photo) for photo in photos]))
    return np.concatenate([points, np.stack([thumbnail(photo) for photo in photos])], axis=1)


def no_looks(count: int) -> Vector:
    return np.zeros((count, POINTS + THUMBNAIL), np.float32)


def random_pairs(count: int, dimension: int = 24) -> PairBatch:
    """With points and thumbnails of photos and of their crops, some of the same one."""
    content = RNG.normal(size=(count, dimension))
    other = content + RNG.normal(scale=0.3, size=content.shape)
    signs = some_signs(count)
    changed = signs ^ (RNG.uniform(size=signs.shape) < RNG.uniform(0, 0.6, size=(count, 1)))
    whole, cropped = (
        looks_of(photos)
        for photos in (PHOTOS, [photo.crop((0, 0, photo.width * 4 // 5, photo.height)) for photo in PHOTOS])
    )
    shown, shown_in_other = RNG.integers(0, len(PHOTOS), (2, count))
    return PairBatch.of_pairs(
        probes=with_looks(content, signs, whole[shown]),
        candidates=with_looks(other, changed, cropped[shown_in_other]),
        overlap=RNG.integers(0, 65, count).astype(np.int32),
    )


def blocks(images: int, copies: int, *, noise: float = 0.02, dimension: int = 64) -> EmbeddedCopies:
    originals = RNG.normal(size=(images, 1, dimension))
    originals /= np.linalg.norm(originals, axis=2, keepdims=True)
    lsh = (originals + RNG.normal(scale=noise, size=(images, 1 + copies, dimension))).astype(np.float32)
    signs = np.repeat(some_signs(images), 1 + copies, axis=0)
    signs ^= RNG.uniform(size=signs.shape) < 0.05
    score = with_looks(lsh.reshape(-1, dimension), signs, no_looks(len(signs)))
    return EmbeddedCopies(lsh, score.reshape(images, 1 + copies, -1))


def onnx_scores(network: Network, batch: PairBatch) -> Vector:
    session = onnxruntime.InferenceSession(to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
    arrays, places = grouped(batch)
    scores: Vector = np.asarray(session.run(["score"], dict(arrays))[0]).ravel()[places]
    return scores


def test_at_first_sight_it_does_not_matter_which_is_the_probe() -> None:
    batch = random_pairs(30)
    overlap = batch.overlap[:, None].astype(np.float32)
    network = a_network().sight
    probes, candidates = batch.probes.astype(np.float32), batch.candidates.astype(np.float32)
    one, _ = sight(NUMPY, network, probes, candidates, overlap)
    np.testing.assert_array_equal(one, sight(NUMPY, network, candidates, probes, overlap)[0])


def test_signs_agree_straight_and_mirrored() -> None:
    content, signs = np.zeros((5, 24), np.float32), some_signs(5)

    def seen_of(other: npt.NDArray[np.bool_]) -> tuple[Vector, Vector]:
        probes, candidates = (with_looks(content, each, no_looks(5)) for each in (signs, other))
        result: tuple[Vector, Vector] = sight(
            NUMPY, a_network().sight, probes, candidates, np.zeros((5, 1), np.float32)
        )
        return result

    (straight, way), (mirrored, other_way), (unlike, _) = map(seen_of, (signs, signs ^ MIRRORED, ~signs))
    np.testing.assert_allclose(straight, mirrored, atol=1e-5)
    assert (unlike < straight - 0.1).all()
    assert (way.ravel().tolist(), other_way.ravel().tolist()) == ([1.0] * 5, [-1.0] * 5)


def test_an_embedding_of_zeros_has_a_score() -> None:
    zeros = np.zeros((1, 24 + AFTER_CONTENT), np.float32)
    assert np.isfinite(
        a_network().score(PairBatch.of_pairs(probes=zeros, candidates=zeros, overlap=np.zeros(1, np.int32)))
    )


def test_less_alike_never_scores_higher() -> None:
    network = a_network()
    batch = random_pairs(60)
    step = batch.candidates - batch.probes
    step[:, -AFTER_CONTENT:] = 0
    further = replace(batch, candidates=batch.candidates + step)
    # The cosine of what is further along a line from the probe is lower too.
    assert (network.logits(further) <= network.logits(batch) + 1e-4).all()
    looks = POINTS + THUMBNAIL
    mine = batch.probes[:, -AFTER_CONTENT:-looks]
    parts = [batch.candidates[:, :-AFTER_CONTENT], mine, batch.candidates[:, -looks:]]
    same = replace(batch, candidates=np.concatenate(parts, axis=1))
    assert (network.logits(same) >= network.logits(batch) - 1e-4).all()


def test_points_and_thumbnails_raise_a_score() -> None:
    network = a_network()
    probes = random_pairs(60).probes
    candidates = probes.copy()
    same = PairBatch.of_pairs(probes=probes, candidates=probes, overlap=np.full(60, 64, np.int32))
    candidates[:, -POINTS - THUMBNAIL :] = 0
    assert (network.logits(same) > network.logits(replace(same, candidates=candidates)) + 0.1).all()


def test_onnx_computes_the_same_whatever_else_is_in_the_batch() -> None:
    batch = random_pairs(100)
    network = a_network()
    scores = onnx_scores(network, batch)
    np.testing.assert_allclose(scores, network.score(batch), atol=3e-6)
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(onnx_scores(network, batch.part(order)), scores[order])


def test_first_sight_gives_the_scores_of_all_that_it_does_not_find_promising() -> None:
    batch = random_pairs(200)
    network = a_network()
    session = onnxruntime.InferenceSession(
        first_sight_to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    heads = replace(batch, probes=batch.probes[:, :-LATER], candidates=batch.candidates[:, :-LATER])
    arrays, places = grouped(heads)
    found, promising = (np.asarray(each).ravel()[places] for each in session.run(["score", "promising"], dict(arrays)))
    overlap = batch.overlap[:, None].astype(np.float32)
    first, _ = sight(NUMPY, network.sight, batch.probes, batch.candidates, overlap)
    np.testing.assert_array_equal(promising, (first[:, 0] > -3).astype(np.float32))
    assert 20 < promising.sum() < 180
    hopeless = promising < 0.5
    np.testing.assert_array_equal(found[hopeless], onnx_scores(network, batch)[hopeless])
    logit, _ = first_sight(NUMPY, network, heads.probes, heads.candidates, overlap)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logit[:, 0])), atol=3e-6)


def test_equal_embeddings_are_equal_though_no_point_says_so() -> None:
    unsure = replace(a_network(), sure=np.zeros(2, np.float32))
    network = unsure.sure_of_equals()
    probes = with_looks(RNG.normal(size=(9, 24)), some_signs(9), no_looks(9))
    equal = PairBatch.of_pairs(probes=probes, candidates=probes, overlap=np.array([1, 2, 3] * 3, np.int32))
    assert (network.score(equal) > 0.999).all()
    other = random_pairs(100)
    first, _ = sight(NUMPY, network.sight, other.probes, other.candidates, other.overlap[:, None].astype(np.float32))
    unlike = first[:, 0] < network.sure[0]
    assert unlike.sum() > 50
    np.testing.assert_allclose(network.score(other)[unlike], unsure.score(other)[unlike], atol=1e-6)


def test_the_network_is_found_in_its_model() -> None:
    network = a_network()
    found = network_of(to_onnx(network))
    for name, values in asdict(found.sight).items():
        np.testing.assert_array_equal(values, getattr(network.sight, name))
    np.testing.assert_array_equal(found.trust, network.trust)
    np.testing.assert_array_equal(found.start, network.start)
    np.testing.assert_array_equal(found.sure, network.sure)
    other = onnx.ModelProto()
    with pytest.raises(ConfigError, match="its graph is another"):
        network_of(other)


def test_trust_is_learned_and_never_negative() -> None:
    columns = np.abs(RNG.normal(size=(400, EVIDENCE))).astype(np.float32)
    same = columns[:, 3] - columns[:, 4] > 0.2
    trust, start = fit_trust(columns, same)
    assert (trust.shape, start.shape) == ((EVIDENCE,), (1,))
    assert (trust >= 0).all()
    assert trust[3] > 1
    # What speaks against a match counts nothing, rather than against it.
    assert trust[4] == 0


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


def test_pictures_that_have_a_part_in_common_are_not_taken_for_different_ones() -> None:
    """Two photos, a crop of the first, and one without points."""
    crop = PHOTOS[0].crop((0, 0, PHOTOS[0].width * 4 // 5, PHOTOS[0].height))
    looks = looks_of([*PHOTOS[:2], crop])
    score = with_looks(np.ones((4, 24)), some_signs(4), np.concatenate([looks, no_looks(1)]))
    originals = EmbeddedCopies(score[:, None, :24], score[:, None])
    probe, candidate = np.nonzero(~np.eye(4, dtype=np.bool_))
    pairs = Pairs(probe, candidate, np.full(12, 5, np.int32), np.zeros(12, np.bool_))
    assert near_copies(originals, pairs) == {2}
    assert originals.without({2}).score.shape == (3, 1, score.shape[1])


def test_judged_pairs_are_learned_from_as_well() -> None:
    copies, judged = blocks(6, 2), blocks(4, 1)
    lsh = LshModel(dimension=64, embedding_version="test", tables=16, bits_per_table=6)
    rows = np.arange(len(copies.owner))
    before = Lesson(copies.score_rows, copies.owner, candidate_pairs(copies, lsh, probes=rows, corpus=rows, limit=5))
    same = np.array([True, False, True, True])
    after = before.with_judged(judged, same, lsh)
    added = slice(len(before.pairs.probe), None)
    batch = after.pairs.batch(after.score_rows).part(added)
    np.testing.assert_array_equal(batch.probes[batch.probe_of], half(judged.score[:, 0]))
    np.testing.assert_array_equal(batch.candidates, half(judged.score[:, 1]))
    assert after.pairs.truth[added].tolist() == same.tolist()
    assert (after.pairs.overlap[added] > 0).all()
    assert len(set(after.owner.tolist())) == 6 + 8


def test_bounds_and_report_of_a_network_that_tells_apart() -> None:
    lsh = LshModel(dimension=64, embedding_version="test", tables=32, bits_per_table=4)
    before = a_network(64)
    # Of the sight the cosine alone, and trust in nothing but the sight.
    by_cosine = replace(
        before.sight,
        weights=np.where(np.arange(len(before.sight.weights)) == len(before.sight.weights) - 2, 20, 0).astype(
            np.float32
        ),
        bias=np.array([-12], np.float32),
    )
    network = Network(
        by_cosine, np.eye(EVIDENCE, dtype=np.float32)[0], np.zeros(1, np.float32), np.zeros(2, np.float32)
    )
    held_out = blocks(40, 4)
    threshold, head_bound = bounds(network, held_out, blocks(50, 0), lsh)
    assert 0 < head_bound <= threshold < 1
    figures = report(network, held_out, lsh, threshold=threshold, edits=["a", "b", "c", "d"])
    assert figures["precision"] > 0.99
    assert figures["recall of originals"] > 0.95
