from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from indexer.propose import ProposalRules, Proposer
from neardup.errors import InvalidMessageError
from neardup.lsh import LshModel
from neardup.messages import half
from neardup.testing import CosineScorer, DigestEmbedder, FakeClock, InMemoryIndex
from neardup.types import CandidateList, Image, ImageId, IndexedImage, PairBatch, Position, Probe, Scores, Source

EMBEDDER = DigestEmbedder(lsh_dimension=24, score_dimension=8, words=4)
LSH = LshModel(dimension=24, embedding_version=EMBEDDER.version, tables=8, bits_per_table=4, words=4)
TERMS = LSH.tables + 3
SOURCE = Source(topic="n.images", partition=1, offset=2)


def make_image(name: str, data: bytes, **changes: Any) -> Image:
    embeddings = EMBEDDER.embed(data)
    values: dict[str, Any] = {"version": 1, "lsh": embeddings.lsh, "score": embeddings.score}
    return Image(image_id=ImageId(name), **(values | changes))


class Index(InMemoryIndex):
    """Takes in what a test gives it right after its position was read, as a projector at work would."""

    def __init__(self) -> None:
        super().__init__()
        self.arriving: list[tuple[str, bytes]] = []
        self.probes: list[Probe] = []

    def put(self, name: str, data: bytes) -> None:
        image = make_image(name, data)
        seq = super().position().seq + 1
        code = LSH.codes(image.lsh[None, :])[0]
        indexed = IndexedImage(image_id=image.image_id, version=1, seq=seq, code=code, score=half(image.score))
        self.apply([indexed], [], upto=Position(seq=seq))

    def position(self) -> Position:
        found = super().position()
        while self.arriving:
            self.put(*self.arriving.pop())
        return found

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        self.probes += probes
        return super().search(probes, limit=limit, minimum_overlap=minimum_overlap)


class Scorer(CosineScorer):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def score(self, batch: PairBatch) -> Scores:
        self.batches.append(len(batch))
        return super().score(batch)


@pytest.fixture
def index() -> Index:
    index = Index()
    for name in "abcd":
        index.put(name, name.encode())
    return index


@pytest.fixture
def scorer() -> Scorer:
    return Scorer()


def proposer(index: Index, scorer: Scorer, **rules: int) -> Proposer:
    values = {"candidate_limit": 10, "minimum_overlap": 1, "probes": 1}
    return Proposer(
        lsh=LSH, search=index, scorer=scorer, clock=FakeClock(now_ms=77), rules=ProposalRules(**(values | rules))
    )


def test_nothing(index: Index, scorer: Scorer) -> None:
    assert proposer(index, scorer).propose([]) == []
    assert (index.probes, scorer.batches) == ([], [])


def test_a_proposal_says_everything_a_decision_needs(index: Index, scorer: Scorer) -> None:
    image = make_image("x", b"a", version=4, run=2, metadata={"k": "v"})
    (proposal,) = proposer(index, scorer).propose([(SOURCE, image)])
    assert (proposal.image_id, proposal.version, proposal.run, proposal.metadata) == ("x", 4, 2, {"k": "v"})
    assert (proposal.searched_seq, proposal.source, proposal.at_ms) == (4, SOURCE, 77)
    assert (proposal.lsh_version, proposal.model_version) == (LSH.version, 1)
    assert (proposal.match_threshold, proposal.head_bound) == (0.5, 0.4)
    np.testing.assert_array_equal(proposal.query, LSH.query_codes(image.lsh[None, :], probes=1)[0])
    np.testing.assert_array_equal(proposal.score, half(image.score))
    best = proposal.matches[0]
    assert (best.image_id, best.overlap) == ("a", TERMS)
    assert best.score > 0.98


def test_images_share_a_search_and_a_scoring_and_keep_their_own_candidates(index: Index, scorer: Scorer) -> None:
    images = [make_image(f"copy of {name}", name.encode()) for name in "abcd"]
    together = proposer(index, scorer).propose([(SOURCE, image) for image in images])
    assert len(scorer.batches) == 1
    for image, proposal in zip(images, together, strict=True):
        (alone,) = proposer(index, scorer).propose([(SOURCE, image)])
        assert proposal.image_id == image.image_id
        assert proposal.matches == alone.matches
        assert f"copy of {proposal.matches[0].image_id}" == image.image_id
    assert scorer.batches[0] == sum(len(proposal.matches) for proposal in together)


def test_an_image_is_never_its_own_candidate(index: Index, scorer: Scorer) -> None:
    (proposal,) = proposer(index, scorer).propose([(SOURCE, make_image("a", b"a"))])
    assert "a" not in {match.image_id for match in proposal.matches}


def test_the_position_is_read_before_the_search(index: Index, scorer: Scorer) -> None:
    """What becomes searchable in between may be found; the assigner must not rely on it."""
    index.arriving = [("late", b"x")]
    (proposal,) = proposer(index, scorer).propose([(SOURCE, make_image("x", b"x"))])
    assert proposal.searched_seq == 4
    assert proposal.matches[0].image_id == "late"


def test_matches_are_the_best_by_score_and_bounded(index: Index, scorer: Scorer) -> None:
    for number in range(8):
        index.put(f"copy {number}", b"x")
    image = make_image("x", b"x")
    (proposal,) = proposer(index, scorer, candidate_limit=100, kept_matches=5).propose([(SOURCE, image)])
    assert [match.image_id for match in proposal.matches] == [f"copy {number}" for number in range(5)]
    (whole,) = proposer(index, scorer, candidate_limit=100).propose([(SOURCE, image)])
    ranks = [(-match.score, -match.overlap, match.image_id) for match in whole.matches]
    assert ranks == sorted(ranks)
    (limited,) = proposer(index, scorer, candidate_limit=3).propose([(SOURCE, image)])
    assert len(limited.matches) == 3


def test_a_deeper_search_keeps_all_that_match(index: Index, scorer: Scorer) -> None:
    for number in range(8):
        index.put(f"copy {number}", b"x")
    shallow = proposer(index, scorer, candidate_limit=3, kept_matches=2)
    image = make_image("x", b"x")
    (usual,) = shallow.propose([(SOURCE, image)])
    (deeper,) = shallow.propose([(SOURCE, image)], candidate_limit=100)
    assert (usual.candidate_limit, len(usual.matches)) == (3, 2)
    assert deeper.candidate_limit == 100
    assert {match.image_id for match in deeper.matches} >= {f"copy {number}" for number in range(8)}
    assert all(match.score >= deeper.match_threshold for match in deeper.matches[2:])


def test_of_those_below_the_threshold_some_are_kept(index: Index, scorer: Scorer) -> None:
    image = make_image("x", b"a")
    (whole,) = proposer(index, scorer, kept_below=10).propose([(SOURCE, image)])
    below = [match for match in whole.matches if match.score < whole.match_threshold]
    assert len(below) > 1
    for kept_below in range(len(below)):
        (proposal,) = proposer(index, scorer, kept_below=kept_below).propose([(SOURCE, image)])
        assert proposal.matches == whole.matches[: len(whole.matches) - len(below) + kept_below]


def test_rules_reach_the_search(index: Index, scorer: Scorer) -> None:
    proposer(index, scorer, probes=2).propose([(SOURCE, make_image("x", b"a"))])
    assert len(index.probes[0].terms) == len(set(index.probes[0].terms)) == TERMS + 2 * LSH.tables
    (strict,) = proposer(index, scorer, minimum_overlap=8).propose([(SOURCE, make_image("x", b"a"))])
    assert [match.image_id for match in strict.matches] == ["a"]


def test_no_candidates_still_name_the_model(scorer: Scorer) -> None:
    (proposal,) = proposer(Index(), scorer).propose([(SOURCE, make_image("x", b"x"))])
    assert (proposal.matches, proposal.model_version, proposal.searched_seq) == ((), 1, 0)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lsh": np.ones(15, np.float32)}, "embedding"),
        ({"lsh": np.zeros(24, np.float32)}, "embedding"),
        ({"lsh": np.full(24, 0.5, np.float32)}, "embedding"),
        ({"score": np.full(8, np.nan, np.float32)}, "score"),
        ({"score": np.full(8, 65_504 + 16, np.float32)}, "score"),
    ],
    ids=["dimension", "zeros", "no-words", "nan", "beyond-float16"],
)
def test_what_can_never_be_proposed(index: Index, scorer: Scorer, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMessageError) as caught, np.errstate(over="ignore"):
        proposer(index, scorer).validate(make_image("x", b"x", **changes))
    assert caught.value.field == field


def test_what_can(index: Index, scorer: Scorer) -> None:
    proposer(index, scorer).validate(make_image("x", b"x", score=np.full(8, 65_504, np.float32)))
