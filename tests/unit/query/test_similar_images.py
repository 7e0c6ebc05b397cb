from dataclasses import replace

import numpy as np
import pytest

from neardup.errors import InvalidImageError, InvalidMessageError, UnknownImageError
from neardup.lsh import LshModel
from neardup.messages import half
from neardup.testing import (
    CosineScorer,
    DigestEmbedder,
    InMemoryClusterStore,
    InMemoryHeadCache,
    InMemoryHistory,
    InMemoryIndex,
    ledger_of,
    position_of,
)
from neardup.types import ClusterId, Embeddings, ImageId, IndexedImage, Position
from query.heads import Heads
from query.similar_images import SimilarImages

EMBEDDER = DigestEmbedder(lsh_dimension=24, score_dimension=8, words=4)
LSH = LshModel(dimension=24, embedding_version=EMBEDDER.version, tables=8, bits_per_table=6, words=4)
TERMS = LSH.tables + 3
PHOTOS = {"a": b"photo 1", "b": b"photo 1", "c": b"photo 2"}
DECISIONS = ledger_of([("a", "a"), ("b", "a"), ("c", "c")])


@pytest.fixture
def index() -> InMemoryIndex:
    index = InMemoryIndex()
    for decision in DECISIONS:
        embeddings = EMBEDDER.embed(PHOTOS[decision.image_id])
        code = LSH.codes(embeddings.lsh[None, :])[0]
        image = IndexedImage(
            image_id=decision.image_id, version=1, seq=decision.seq, code=code, score=half(embeddings.score)
        )
        index.apply([image], [], upto=position_of(decision))
    return index


@pytest.fixture
def store() -> InMemoryClusterStore:
    return InMemoryClusterStore()


@pytest.fixture
def similar(index: InMemoryIndex, store: InMemoryClusterStore) -> SimilarImages:
    store.apply(DECISIONS, upto=position_of(DECISIONS[-1]))
    return module(index, store)


def module(
    index: InMemoryIndex, store: InMemoryClusterStore, *, scorer: CosineScorer | None = None, **rules: int
) -> SimilarImages:
    return SimilarImages(
        embedder=EMBEDDER,
        lsh=LSH,
        search=index,
        scorer=scorer or CosineScorer(),
        store=store,
        heads=Heads(store, InMemoryHeadCache()),
        history=InMemoryHistory(),
        **rules,
    )


def test_a_copy_of_an_image_was_seen_before(similar: SimilarImages) -> None:
    found = similar.lookup_file(b"photo 1")
    assert (found.seen, found.placement) == (True, None)
    assert found.match is not None
    assert (found.match.image_id, found.match.overlap) == ("a", TERMS)
    assert found.cluster is not None
    assert (found.cluster.head, found.cluster.size) == ("a", 2)
    assert {match.image_id for match in found.candidates} >= {"a", "b"}
    assert (found.match_threshold, found.model_version, found.searched_documents) == (0.5, 1, 3)


def turned(photo: bytes, cosine: float) -> Embeddings:
    """The embeddings of a photo, that for the scorer so far away."""
    embeddings = EMBEDDER.embed(photo)
    score = embeddings.score / np.linalg.norm(embeddings.score)
    aside = np.eye(8)[0] - score[0] * score
    away = cosine * score + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)
    return replace(embeddings, score=away.astype(np.float32))


def test_several_of_a_cluster_say_what_one_alone_does_not(
    index: InMemoryIndex, store: InMemoryClusterStore, similar: SimilarImages
) -> None:
    strict = module(index, store, scorer=CosineScorer(match_threshold=0.97))
    found = strict.lookup_embeddings(turned(b"photo 1", 0.95))
    assert found.match is not None
    assert found.witness_bound < found.match.score < found.match_threshold
    assert (found.match.image_id, found.cluster and found.cluster.head) == ("a", "a")
    # The cluster of the other photo has one member.
    alone = strict.lookup_embeddings(turned(b"photo 2", 0.95))
    assert alone.candidates[0].image_id == "c"
    assert alone.candidates[0].score == pytest.approx(found.match.score, abs=0.01)
    assert (alone.seen, alone.match, alone.cluster) == (False, None, None)
    assert similar.lookup_embeddings(turned(b"photo 2", 0.95)).match is not None


def test_something_new_was_not(similar: SimilarImages) -> None:
    found = similar.lookup_file(b"never seen")
    assert (found.seen, found.match, found.cluster, found.placement) == (False, None, None, None)


def test_an_image_of_the_corpus_does_not_match_itself(similar: SimilarImages) -> None:
    found = similar.lookup_id(ImageId("b"))
    assert found.placement is not None
    assert (found.placement.head, found.match and found.match.image_id) == ("a", "a")
    assert "b" not in {match.image_id for match in found.candidates}
    alone = similar.lookup_id(ImageId("c"))
    assert (alone.seen, alone.match, alone.cluster and alone.cluster.head) == (True, None, "c")


def test_a_file_of_the_corpus_given_with_its_id(similar: SimilarImages) -> None:
    found = similar.lookup_file(b"photo 2", image_id=ImageId("c"))
    assert (found.seen, found.placement and found.placement.head, found.match) == (True, "c", None)


def test_the_id_of_a_changed_file_tells_where_the_corpus_has_it(similar: SimilarImages) -> None:
    """The placement comes before the match: this very image is known."""
    found = similar.lookup_file(b"photo 1", image_id=ImageId("c"))
    assert (found.cluster and found.cluster.head, found.match and found.match.image_id) == ("c", "a")


def test_seen_while_the_graph_is_behind_the_index(index: InMemoryIndex, store: InMemoryClusterStore) -> None:
    found = module(index, store).lookup_file(b"photo 1")
    assert (found.seen, found.match and found.match.image_id, found.cluster) == (True, "a", None)


def test_the_cut_is_told(index: InMemoryIndex, similar: SimilarImages, store: InMemoryClusterStore) -> None:
    found = module(index, store, candidate_limit=1).lookup_file(b"photo 1")
    assert [match.image_id for match in found.candidates] == ["a"]
    assert (found.cutoff_overlap, found.ties_at_cutoff) == (TERMS, True)


def test_why_an_image_is_a_candidate_or_not(similar: SimilarImages, index: InMemoryIndex) -> None:
    found = similar.explain_file(b"photo 1", ImageId("b"))
    assert (found.rank, found.cut, found.overlap, found.near_duplicate) == (2, None, TERMS, True)
    other = similar.explain_id(ImageId("a"), ImageId("c"))
    assert other.near_duplicate is False
    assert other.overlap == len(other.shared_terms) < TERMS
    assert similar.explain_id(ImageId("a"), ImageId("a")).cut == "same-image"
    hidden = replace(index.images([ImageId("b")])[ImageId("b")], seq=9, searchable=False)
    index.apply([hidden], [], upto=Position(seq=9))
    assert similar.explain_id(ImageId("a"), ImageId("b")).cut == "not-indexed"
    with pytest.raises(UnknownImageError, match="'nobody'"):
        similar.explain_id(ImageId("a"), ImageId("nobody"))


def test_the_candidate_limit_cuts(index: InMemoryIndex, similar: SimilarImages, store: InMemoryClusterStore) -> None:
    found = module(index, store, candidate_limit=1).explain_file(b"photo 1", ImageId("b"), name="photo.jpg")
    assert (found.rank, found.cut, found.cutoff_overlap) == (2, "candidate-limit", TERMS)
    assert found.sentence == (
        "b shares 11 of 11 terms with photo.jpg and ranks 2, but only the first 1 are candidates, "
        "down to 11 shared terms; "
        "the score of the pair is 0.9820, at or above the match threshold 0.5"
    )


def test_a_score_that_counts_only_with_others(index: InMemoryIndex, store: InMemoryClusterStore) -> None:
    found = module(index, store, scorer=CosineScorer(match_threshold=0.99)).explain_file(b"photo 1", ImageId("b"))
    assert found.near_duplicate is False
    assert found.sentence.endswith(
        "0.9820, below the match threshold 0.99, but it counts together with others of its cluster"
    )


def test_too_few_shared_terms_cut(index: InMemoryIndex, similar: SimilarImages, store: InMemoryClusterStore) -> None:
    found = module(index, store, minimum_overlap=12).explain_file(b"photo 1", ImageId("a"))
    assert (found.rank, found.cut) == (1, "minimum-overlap")
    assert "is no candidate: at least 12 must be shared" in found.sentence


def test_bad_input(similar: SimilarImages) -> None:
    with pytest.raises(InvalidImageError, match="empty"):
        similar.lookup_file(b"")
    with pytest.raises(InvalidMessageError, match="dimension 3"):
        similar.lookup_embeddings(Embeddings(lsh=np.ones(3, np.float32), score=np.ones(8, np.float32)))
    with pytest.raises(UnknownImageError, match="'nobody'"):
        similar.lookup_id(ImageId("nobody"))


def test_clusters_by_any_member(similar: SimilarImages) -> None:
    assert similar.cluster("b").cluster_id == similar.cluster("a").cluster_id == "a"
    with pytest.raises(UnknownImageError, match="neither an image nor a cluster"):
        similar.cluster("nobody")


def test_placement(similar: SimilarImages) -> None:
    placement = similar.placement(ImageId("b"))
    assert placement is not None
    assert placement.head == "a"
    assert similar.placement(ImageId("nobody")) is None


def test_members_page_by_page(similar: SimilarImages) -> None:
    first = similar.members(ClusterId("a"), limit=1)
    assert [member.image_id for member in first.members] == ["a"]
    assert first.after is not None
    second = similar.members(ClusterId("a"), after=first.after, limit=1)
    assert ([member.image_id for member in second.members], second.after) == (["b"], None)
