"""Words of local points on the whole path: images that have only words in common find each other."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from neardup.dead_letters import read_dead_letters
from neardup.fitting.model import FittedModel
from neardup.projection import Projection
from neardup.settings import LshSettings
from neardup.types import Embeddings, ImageId, Vector
from tests.e2e.conftest import PipelineFactory, Sample
from tests.e2e.verify import assert_projections_equal_ledger

pytestmark = pytest.mark.e2e

DIRECTIONS, WORDS = 256, 24


def with_words(directions: Vector, words: npt.NDArray[np.int64]) -> Vector:
    """`words`: shape (n, 2); the others are none."""
    ends = np.zeros((WORDS, 2), dtype=np.float32)
    ends[: len(words)] = words
    return np.concatenate([directions, ends.ravel()])


def test_images_meet_by_words_alone(pipeline: PipelineFactory, sample: Sample, tmp_path: Path) -> None:
    firsts = {source: name for name, source in reversed(sample.source.items())}.values()
    model = FittedModel(
        embeddings="worded",
        score_dimension=len(sample.embeddings[next(iter(firsts))].score),
        tables=64,
        bits_per_table=12,
        seed=0,
        projection=Projection(np.zeros(DIRECTIONS, np.float16), np.eye(DIRECTIONS, dtype=np.float16)),
        origin="a test",
        words=WORDS,
    )
    model.save(tmp_path / "worded.npz")
    running = pipeline("words", lsh=LshSettings(model=tmp_path / "worded.npz"))
    rng = np.random.default_rng(4)
    words = {name: rng.integers(1, 2049, (WORDS, 2)) for name in firsts}
    directions = {name: sample.embeddings[name].lsh[:DIRECTIONS] for name in firsts}
    # The copies, which arrive together with the originals, look the other way: they share no table.
    published = {
        name: Embeddings(lsh=with_words(directions[name], words[name]), score=sample.embeddings[name].score)
        for name in firsts
    }
    published |= {
        ImageId(f"copy of {name}"): Embeddings(
            lsh=with_words(-directions[name], rng.permutation(words[name])), score=sample.embeddings[name].score
        )
        for name in firsts
    }
    first = next(iter(firsts))
    wrong = Embeddings(lsh=published[first].lsh.copy(), score=published[first].score)
    wrong.lsh[DIRECTIONS] = 2049
    running.publish(published | {ImageId("wrong"): wrong})
    running.drain()
    letters = {letter.reason for letter in read_dead_letters(running.wiring.kafka, running.wiring.topics)}
    assert letters == {
        "embedding: [256] is 2049: the last 48 numbers are words, whole numbers from 1 to 2048, or 0 0 for none"
    }
    placed = running.wiring.store.placements(list(published))
    for name in firsts:
        assert placed[name].cluster_id == placed[ImageId(f"copy of {name}")].cluster_id
    similar = running.wiring.similar_images
    found = similar.explain_id(first, ImageId(f"copy of {first}"))
    assert (found.overlap, found.terms, found.cut) == (WORDS, 64 + WORDS, None)
    assert all(term.startswith("w.") for term in found.shared_terms)

    # One that comes later, with half of the words, is found by a search; one without words is not.
    elsewhere = np.roll(directions[first], 99)
    later = {
        ImageId("half"): Embeddings(lsh=with_words(elsewhere, words[first][::2]), score=published[first].score),
    }
    running.publish(later)
    running.drain()
    placed |= running.wiring.store.placements(list(later))
    assert placed[ImageId("half")].cluster_id == placed[first].cluster_id
    asked = Embeddings(lsh=with_words(np.roll(elsewhere, 99), words[first][1::2]), score=published[first].score)
    assert similar.lookup_embeddings(asked).match is not None
    without = Embeddings(lsh=with_words(np.roll(elsewhere, 99), words[first][:0]), score=published[first].score)
    matches = {match.image_id: match.overlap for match in similar.lookup_embeddings(without).candidates}
    assert matches.get(first, 0) < WORDS // 4
    assert_projections_equal_ledger(running.wiring, [*published, *later])
