import numpy as np
import pytest

from neardup.entries import images_of
from neardup.errors import ConfigError, FencedError, InvalidImageError
from neardup.lsh import LshModel, terms
from neardup.testing import (
    CosineScorer,
    DigestEmbedder,
    FakeClock,
    InMemoryLedger,
    InMemoryProposalLog,
    make_decision,
)
from neardup.types import PairBatch, Position


def test_time_passes_by_sleeping() -> None:
    clock = FakeClock(now_ms=1000)
    clock.sleep(0.25)
    clock.sleep(0.0005)
    clock.sleep(0.0005)
    assert clock.now_ms() == 1251


def test_equal_bytes_give_equal_embeddings() -> None:
    embedder = DigestEmbedder(lsh_dimension=8, score_dimension=4)
    first, again, other = embedder.embed(b"x"), embedder.embed(b"x"), embedder.embed(b"y")
    np.testing.assert_array_equal(first.lsh, again.lsh)
    np.testing.assert_array_equal(first.score, again.score)
    assert not np.array_equal(first.lsh, other.lsh)
    assert (first.lsh.shape, first.score.shape) == ((8,), (4,))
    assert first.lsh.dtype == np.dtype(np.float32)
    assert np.all(np.isfinite(first.lsh))
    with pytest.raises(InvalidImageError, match="empty"):
        embedder.embed(b"")


def test_words_are_words_and_the_last_is_none() -> None:
    embedder = DigestEmbedder(lsh_dimension=14, score_dimension=4, words=3)
    lsh = LshModel(dimension=14, embedding_version=embedder.version, words=embedder.words)
    first, other = embedder.embed(b"x").lsh, embedder.embed(b"y").lsh
    lsh.validate(first)
    asked = [term for term in terms(lsh.codes(first[None])[0]) if term.startswith("w.")]
    assert len(asked) == 2
    assert not set(asked) & set(terms(lsh.codes(other[None])[0]))


def test_scores_follow_the_cosine() -> None:
    probes = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    candidates = np.array([[2, 0], [0.8, 0.6], [0, 1]], np.float32)
    scorer = CosineScorer()
    scores = scorer.score(PairBatch.of_pairs(probes=probes, candidates=candidates, overlap=np.ones(3, np.int32)))
    assert scores.values == pytest.approx([0.982, 0.5, 0.0], abs=1e-3)
    assert scores.values.dtype == np.float32
    assert scores.values[0] > scorer.calibration(scores.model_version).match_threshold


def test_an_empty_batch_names_the_model_version() -> None:
    empty = np.empty((0, 4), np.float32)
    scores = CosineScorer().score(PairBatch.of_pairs(probes=empty, candidates=empty, overlap=np.empty(0, np.int32)))
    assert (scores.values.shape, scores.model_version) == ((0,), 1)
    with pytest.raises(ConfigError, match="version 2"):
        CosineScorer().calibration(2)


def test_ledger_is_read_from_a_position() -> None:
    ledger = InMemoryLedger()
    decisions = [make_decision(seq, f"image {seq}", f"image {seq}") for seq in range(1, 6)]
    ledger.writer().append(decisions)
    first = ledger.read(after=Position(), limit=2)
    assert [decision.seq for _, decision in first] == [1, 2]
    assert [decision.seq for _, decision in ledger.read(after=first[-1][0])] == [3, 4, 5]
    assert ledger.read(after=ledger.tail(1)[0][0]) == []
    assert [decision.seq for _, decision in ledger.tail(2)] == [4, 5]
    assert ledger.tail(0) == []


def test_a_new_writer_fences_the_old() -> None:
    ledger = InMemoryLedger()
    old = ledger.writer()
    old.append([make_decision(1, "a", "a")])
    new = ledger.writer()
    with pytest.raises(FencedError):
        old.append([make_decision(2, "b", "b")])
    new.append([make_decision(2, "c", "c")])
    assert [images_of(entry) for _, entry in ledger.tail(10)] == [("a",), ("c",)]


def test_a_gap_is_refused_whole() -> None:
    ledger = InMemoryLedger()
    with pytest.raises(ValueError, match="seq 3 follows 1"):
        ledger.writer().append([make_decision(1, "a", "a"), make_decision(3, "b", "b")])
    assert ledger.tail(10) == []


def test_proposals_have_offsets() -> None:
    log = InMemoryProposalLog()
    assert (log.read(offset=0), log.end()) == ([], 0)
