from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.entries import images_of
from neardup.errors import (
    ClusterStoreUnavailableError,
    IncompatibleIndexError,
    ScorerUnavailableError,
    SearchUnavailableError,
    UnavailableError,
)
from neardup.testing import CosineScorer, InMemoryClusterStore, InMemoryIndex
from neardup.types import ClusterId, ImageId, PairBatch, Position, Scores
from tests.unit.graph.pipeline import MINIMUM_OVERLAP, STEPS, Pipeline, clusters_of, make_image

IMAGES = st.builds(
    make_image,
    st.sampled_from("abcdefgh"),
    st.integers(0, STEPS - 1),
    version=st.integers(1, 3),
)
STREAM = st.lists(IMAGES, min_size=1, max_size=25)
STEP = st.tuples(st.sampled_from(["propose", "decide", "graph", "index"]), st.integers(1, 6))


def test_the_first_image_is_its_own_head() -> None:
    (decision,) = Pipeline().arrive(make_image("a", 0))
    assert (decision.seq, decision.cluster_id, decision.head, decision.rule) == (1, "a", "a", "no-candidate")
    assert (decision.proposal_offset, decision.previous_cluster, decision.previous_seq) == (0, None, None)
    assert decision.evidence is not None
    assert decision.evidence.source.offset == 0


def test_images_that_arrive_in_one_batch_meet() -> None:
    decisions = Pipeline().arrive(make_image("a", 0), make_image("far", 12), make_image("b", 1), make_image("c", 1))
    assert clusters_of(decisions) == {frozenset("abc"), frozenset(["far"])}
    assert [decision.head for decision in decisions] == ["a", "far", "a", "a"]
    best = decisions[3].matches[0]
    assert (best.image_id, best.score > 0.9, best.overlap > 0) == ("b", True, True)


@pytest.mark.parametrize("batch", [1, 10], ids=["decided-before", "one-batch"])
def test_recent_images_meet_by_words_alone(batch: int) -> None:
    """Directions opposite to one another share no table: what they share are MINIMUM_OVERLAP words, or one less."""
    world = Pipeline()
    words = range(1, MINIMUM_OVERLAP + 1)
    world.propose(make_image("a", 0, words=words))
    world.propose(make_image("b", 0, seen_at=12, words=[*reversed(words), 99]))
    world.propose(make_image("c", 0, seen_at=12, words=[*words[1:], 100]))
    while world.waiting:
        world.decide(batch)
    assert world.index.position() == Position()
    assert clusters_of(world.decisions[:2]) == {frozenset("ab")}
    overlaps = {match.image_id: match.overlap for match in world.decisions[2].matches}
    assert overlaps == {"b": 24 + MINIMUM_OVERLAP - 1}
    assert world.decisions[1].matches[0].overlap == MINIMUM_OVERLAP


@pytest.mark.parametrize("batch", [1, 10], ids=["decided-before", "one-batch"])
def test_recent_images_are_candidates_only_if_a_search_would_have_found_them(batch: int) -> None:
    """The search is cut after one image, which shares all tables and three words."""
    world = Pipeline()
    world.arrive(make_image("found", 0, words=[1, 2, 3]), make_image("cut off", 1, words=[4]))
    world.project()
    world.proposer = world.make_proposer(candidate_limit=1)
    world.propose(make_image("fewer terms", 1, words=[1, 2, 3, 4]))
    world.propose(make_image("as many terms", 0, words=[2, 3, 4]))
    world.propose(make_image("more terms", 0, words=[1, 2, 3, 4]))
    world.propose(make_image("probe", 0, words=[1, 2, 3, 4]))
    while world.waiting:
        world.decide(batch)
    assert {match.image_id for match in world.decisions[-1].matches} == {"found", "more terms"}


@pytest.mark.parametrize("batch", [1, 20], ids=["decided-before", "one-batch"])
def test_of_many_recent_images_the_best_are_told(batch: int) -> None:
    """Twelve steps from one that matches to the opposite of the probe; all share words."""
    world = Pipeline()
    words = range(1, MINIMUM_OVERLAP + 1)
    for step in range(12, 0, -1):
        world.propose(make_image(f"{step:02}", step, words=words))
    world.propose(make_image("probe", 0, words=words))
    while world.waiting:
        world.decide(batch)
    assert [match.image_id for match in world.decisions[-1].matches] == [f"{step:02}" for step in range(1, 11)]


def test_images_of_the_index_meet_by_words_alone() -> None:
    world = Pipeline()
    words = range(1, MINIMUM_OVERLAP + 1)
    world.arrive(make_image("a", 0, words=words))
    (decision,) = world.arrive(make_image("b", 0, seen_at=12, words=words))
    assert [(match.image_id, match.overlap) for match in decision.matches] == [("a", MINIMUM_OVERLAP)]
    assert decision.head == "a"


def test_images_decided_after_the_search_meet_whatever_the_index_shows() -> None:
    world = Pipeline()
    world.propose(make_image("a", 0))
    world.propose(make_image("b", 0))
    world.decide(1)
    world.decide(1)
    world.propose(make_image("c", 0))
    world.decide(1)
    assert world.index.position() == Position()
    assert clusters_of(world.decisions) == {frozenset("abc")}


def test_a_match_of_the_search_and_of_the_memory_is_counted_once() -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0))
    (b,) = world.propose(make_image("b", 0))
    world.project()
    world.propose(make_image("c", 0))
    assert [match.image_id for match in b.matches] == []
    world.decide(10)
    c = world.decisions[-1]
    assert [match.image_id for match in c.matches] == ["a", "b"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_not_above_the_decided_one_comes_to_nothing(version: int) -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0), make_image("b", 0, version=2))
    assert world.arrive(make_image("b", 12, version=version)) == []
    assert world.next_offset == 3


def test_sent_twice_in_one_batch_is_decided_once() -> None:
    decisions = Pipeline().arrive(make_image("a", 0), make_image("a", 0), make_image("a", 0, version=0))
    assert [(decision.image_id, decision.version) for decision in decisions] == [("a", 1)]


def test_another_run_of_the_same_version_is_decided_again() -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0), make_image("b", 0))
    (again,) = world.arrive(make_image("b", 0, run=1))
    assert (again.version, again.run, again.cluster_id, again.previous_cluster) == (1, 1, "a", None)


@pytest.mark.parametrize("projected", [True, False])
def test_a_new_version_moves_a_member(projected: bool) -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0), make_image("b", 0), make_image("z", 12))
    if projected:
        world.project()
    world.propose(make_image("b", 12, version=2))
    world.decide(1)
    moved = world.decisions[-1]
    assert (moved.cluster_id, moved.previous_cluster, moved.rule) == ("z", "a", "best-match")
    assert clusters_of(world.decisions) == {frozenset("a"), frozenset("bz")}


def test_in_one_batch_only_the_newest_version_is_met() -> None:
    decisions = Pipeline().arrive(make_image("a", 0), make_image("a", 12, version=2), make_image("b", 0))
    assert clusters_of(decisions) == {frozenset("a"), frozenset("b")}


def test_a_version_that_the_index_still_shows_is_not_a_match_any_more() -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0))
    world.project()
    world.propose(make_image("a", 12, version=2))
    (b,) = world.propose(make_image("b", 0))
    assert [match.image_id for match in b.matches] == ["a"]
    world.decide(10)
    assert (world.decisions[-1].rule, world.decisions[-1].matches) == ("no-candidate", ())


def test_a_head_that_has_members_stays() -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0), make_image("b", 0), make_image("z", 12))
    (kept,) = world.arrive(make_image("a", 12, version=2))
    assert (kept.cluster_id, kept.head, kept.rule, kept.previous_cluster) == ("a", "a", "head-kept", None)
    assert kept.bridges == ("z",)


def test_a_head_without_members_moves_and_its_cluster_is_gone() -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0), make_image("z", 12))
    (moved,) = world.arrive(make_image("a", 12, version=2))
    assert (moved.cluster_id, moved.previous_cluster) == ("z", "a")
    (back,) = world.arrive(make_image("a", 0, version=3))
    assert (back.cluster_id, back.head, back.previous_cluster) == ("a", "a", "z")
    assert ClusterState(world.decisions).cluster(ClusterId("a")) is not None


def test_a_head_whose_members_left_in_the_same_batch_moves() -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0), make_image("b", 0), make_image("z", 12))
    decisions = world.arrive(make_image("b", 12, version=2), make_image("a", 12, version=2))
    assert [(decision.image_id, decision.cluster_id) for decision in decisions] == [("b", "z"), ("a", "z")]


@pytest.mark.parametrize("together", [True, False])
def test_of_many_copies_only_enough_are_indexed(together: bool) -> None:
    copies = [make_image(f"copy {number}", 0) for number in range(12)]
    world = Pipeline(enough_exemplars=4)
    for some in [copies] if together else [[copy] for copy in copies]:
        world.arrive(*some)
    world.project()
    (cluster,) = world.store.clusters([ClusterId("copy 0")]).values()
    assert (cluster.size, cluster.exemplars) == (12, 4)
    indexed = [decision.image_id for decision in world.decisions if decision.indexed]
    assert indexed == [copy.image_id for copy in copies[:4]]
    found = world.index.images([copy.image_id for copy in copies])
    assert [image_id for image_id, image in found.items() if image.searchable] == indexed
    # A copy that comes later meets the exemplars, and joins.
    (decision,) = world.arrive(make_image("late", 0))
    assert (decision.cluster_id, decision.indexed) == ("copy 0", False)


def test_what_moves_away_from_the_exemplars_is_indexed_there() -> None:
    world = Pipeline(enough_exemplars=2)
    world.arrive(*(make_image(name, 0) for name in "abcd"))
    assert [decision.indexed for decision in world.decisions] == [True, True, False, False]
    (moved,) = world.arrive(make_image("d", 12, version=2))
    assert (moved.cluster_id, moved.indexed) == ("d", True)
    (follower,) = world.arrive(make_image("e", 12))
    assert follower.cluster_id == "d"


@pytest.mark.parametrize("together", [True, False])
def test_several_members_say_what_one_alone_does_not(together: bool) -> None:
    world = Pipeline(match_threshold=0.97)
    # Two steps apart a pair scores 0.79, nobody's match by itself.
    images = [
        make_image("a", 0),
        make_image("early", 2),
        make_image("b", 0),
        make_image("c", 0),
        make_image("late", -2),
    ]
    for some in [images] if together else [[image] for image in images]:
        world.arrive(*some)
    found = {decision.image_id: decision for decision in world.decisions}
    assert {image_id: decision.cluster_id for image_id, decision in found.items()} == {
        **dict.fromkeys("abc", "a"),
        "early": "early",
        "late": "a",
    }
    assert (found[ImageId("early")].rule, found[ImageId("late")].rule) == ("below-threshold", "best-match")
    evidence = found[ImageId("late")].evidence
    assert evidence is not None
    assert (evidence.match_threshold, evidence.witness_bound) == (0.97, 0.5)
    assert [match.image_id for match in evidence.matches if match.score > 0.5] == ["a", "b", "c"]


def test_a_chain_stops_at_the_head() -> None:
    world = Pipeline(enough_members=2)
    decisions = world.arrive(make_image("a", 0), make_image("b", 2), make_image("c", 4))
    assert [decision.rule for decision in decisions] == ["no-candidate", "best-match", "chain-guard"]
    evidence = decisions[2].evidence
    assert evidence is not None
    assert evidence.head_score is not None
    assert evidence.head_score < evidence.head_bound
    assert decisions[2].bridges == ("a",)
    # Two witnesses are enough, whatever the head says.
    decisions = world.arrive(make_image("d", 2), make_image("e", 4, version=1))
    assert [decision.cluster_id for decision in decisions] == ["a", "c"]


def test_the_head_is_scored_from_the_index_when_memory_has_forgotten_it() -> None:
    """Memory of 2 images; the head "a" is far enough from "c" that a search never brings it up."""
    for guard in ("memory", "index"):
        world = Pipeline(window=1000 if guard == "memory" else 2, enough_members=9)
        world.arrive(make_image("a", 0))
        world.arrive(make_image("b", 2))
        world.arrive(make_image("x", 12))
        world.arrive(make_image("y", 16))
        (c,) = world.arrive(make_image("c", 4))
        assert c.evidence is not None
        assert (c.rule, c.evidence.head_score is not None) == ("chain-guard", True)


def test_more_than_the_memory_goes_back_to_be_searched_again() -> None:
    world = Pipeline(window=3)
    world.propose(*(make_image(name, 12) for name in "uvwx"), make_image("old", 0))
    world.decide(4)
    world.decide(1)
    assert len(world.decisions) == 4
    assert world.requeued_ids == ["old"]
    (decided,) = world.arrive(make_image("old", 0))
    assert decided.image_id == "old"


def test_memory_that_just_reaches_back_decides() -> None:
    world = Pipeline(window=3)
    world.propose(*(make_image(name, 0) for name in "uvwx"))
    world.decide(4)
    assert len(world.decisions) == 4
    assert world.ledger.requeued == []


def test_a_batch_larger_than_the_memory_goes_on() -> None:
    world = Pipeline(window=2)
    world.propose(*(make_image(name, 0) for name in "abcdef"))
    world.decide(6)
    assert [decision.image_id for decision in world.decisions] == ["a", "b", "c"]
    assert world.requeued_ids == ["d", "e", "f"]
    assert world.waiting == 0


class NewerModel(CosineScorer):
    def score(self, batch: PairBatch) -> Scores:
        return replace(super().score(batch), model_version=2)


def test_scored_by_another_model_version_goes_back() -> None:
    world = Pipeline(scorer=NewerModel())
    world.propose(make_image("a", 0), make_image("b", 0), make_image("far", 12))
    world.decide(3)
    # What no recent image resembles needs no other score and is decided as it is.
    assert [decision.image_id for decision in world.decisions] == ["a", "far"]
    assert world.requeued_ids == ["b"]


def test_a_head_scored_by_another_model_version_goes_back() -> None:
    world = Pipeline(enough_members=9)
    world.arrive(make_image("a", 0))
    world.arrive(make_image("b", 2))
    world.project()
    world.scorer = NewerModel()
    world.restart()
    world.propose(make_image("c", 4))
    world.decide(1)
    assert len(world.decisions) == 2
    assert world.requeued_ids == ["c"]


def test_model_change_does_not_depend_on_proposals_that_come_to_nothing() -> None:
    """A re-sent image in the same batch is not in memory after it: it asks for no score that could differ."""
    for together in (True, False):
        world = Pipeline(window=1)
        world.arrive(make_image("a", 0, version=5))
        world.arrive(make_image("far", 12))
        world.project()
        world.scorer = NewerModel()
        world.restart()
        world.propose(make_image("a", 0, version=5), make_image("b", 0))
        for size in (2,) if together else (1, 1):
            world.decide(size)
        assert [decision.image_id for decision in world.decisions] == ["a", "far", "b"]


def test_another_lsh_version_stops_the_assigner() -> None:
    world = Pipeline()
    (proposal,) = world.propose(make_image("a", 0))
    with pytest.raises(IncompatibleIndexError, match="offset 7 has lsh_version 0123"):
        world.assigner.decide([(7, replace(proposal, lsh_version="0123"))])


def test_deciding_waits_for_a_graph_that_is_further_behind_than_the_window() -> None:
    world = Pipeline(window=2)
    for name in "abc":
        world.propose(make_image(name, 0))
        world.decide(1)
        world.project_index(1)
    (proposal,) = world.propose(make_image("d", 0))
    with pytest.raises(ClusterStoreUnavailableError, match="3 decisions behind"):
        world.assigner.decide([(3, proposal)])
    world.project_graph(1)
    assert len(world.assigner.decide([(3, proposal)]).entries) == 1


def run_ideal(images: Sequence[Any], *, enough_exemplars: int = 32) -> Pipeline:
    """One image after the other, everything applied before the next one is searched."""
    world = Pipeline(enough_exemplars=enough_exemplars)
    for image in images:
        world.arrive(image)
    world.project()
    return world


@settings(max_examples=100)
@given(STREAM, st.lists(STEP, max_size=40), st.sampled_from([1, 2, 32]))
def test_lag_changes_nothing(images: list[Any], steps: list[tuple[str, int]], enough: int) -> None:
    """Whatever the index, the graph and the batches do: the ledger of an ideal world, word for word."""
    world = Pipeline(enough_exemplars=enough)
    left = list(images)
    for what, count in [*steps, ("propose", 1000), ("decide", 1000)]:
        if what == "propose" and left:
            world.propose(*left[:count])
            del left[:count]
        elif what == "decide":
            world.decide(count)
        elif what == "graph":
            world.project_graph(count)
        elif what == "index":
            world.project_index(count)
    assert world.decisions == run_ideal(images, enough_exemplars=enough).decisions
    assert world.ledger.requeued == []


@settings(max_examples=80)
@given(STREAM, st.sampled_from([1, 2, 32]))
def test_the_result_is_a_partition_and_the_graph_equals_the_ledger(images: list[Any], enough: int) -> None:
    world = run_ideal(images, enough_exemplars=enough)
    state = ClusterState(world.decisions)
    members = [image_id for cluster in clusters_of(world.decisions) for image_id in cluster]
    newest = {image.image_id: max(i.version for i in images if i.image_id == image.image_id) for image in images}
    assert sorted(members) == sorted(newest)
    assert {placement.image_id: placement.version for placement in state.placements()} == newest
    assert list(world.store.placements_all()) == list(state.placements())
    for info in state.clusters():
        assert info.head in {member.image_id for member in state.members(info.cluster_id).members}
        assert world.store.clusters([info.cluster_id]) == {info.cluster_id: info}


class Faults:
    """Lets every call through but those with the given numbers."""

    def __init__(self, failing: set[int]) -> None:
        self._failing = failing
        self.calls = 0

    def check(self, error: UnavailableError) -> None:
        self.calls += 1
        if self.calls in self._failing:
            raise error


class FaultyScorer(CosineScorer):
    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def score(self, batch: PairBatch) -> Scores:
        self._faults.check(ScorerUnavailableError("gone"))
        return super().score(batch)


class FaultySearch(InMemoryIndex):
    """Only `images` fails: the proposer has its own tests."""

    faults = Faults(set())

    def images(self, image_ids: Sequence[ImageId]) -> Any:
        self.faults.check(SearchUnavailableError("gone"))
        return super().images(image_ids)


class FaultyStore(InMemoryClusterStore):
    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def placements(self, image_ids: Sequence[ImageId]) -> Any:
        self._faults.check(ClusterStoreUnavailableError("gone"))
        return super().placements(image_ids)

    def clusters(self, cluster_ids: Sequence[ClusterId]) -> Any:
        self._faults.check(ClusterStoreUnavailableError("gone"))
        return super().clusters(cluster_ids)


@settings(max_examples=40)
@given(STREAM, st.sets(st.integers(1, 60), max_size=12), st.lists(st.integers(1, 9), min_size=1))
def test_an_engine_that_fails_at_any_moment_changes_no_decision(
    images: list[Any], failing: set[int], batches: list[int]
) -> None:
    faults = Faults(failing)
    index = FaultySearch()
    index.faults = faults
    world = Pipeline(scorer=FaultyScorer(faults), store=FaultyStore(faults), index=index)
    world.propose(*images)
    while world.waiting:
        for size in batches:
            world.decide(size)
    assert world.decisions == run_ideal(images).decisions


def test_a_failure_in_the_middle_keeps_what_was_decided_before_it() -> None:
    """The third proposal must ask for the score of a head, and cannot."""
    faults = Faults({2})
    world = Pipeline(scorer=FaultyScorer(faults), enough_members=9)
    batch = list(enumerate(world.propose(make_image("a", 0), make_image("b", 2), make_image("c", 4))))
    first = world.assigner.decide(batch)
    assert faults.calls == 2
    assert [images_of(entry) for entry in first.entries] == [("a",), ("b",)]
    assert first.next_offset == 2
    second = world.assigner.decide(batch[2:])
    assert [decision.seq for decision in second.entries] == [3]
    assert second.next_offset == 3


def test_embeddings_are_compared_as_stored() -> None:
    """float16, as the index keeps them: the same pair scores the same from memory and from the index."""
    image = make_image("a", 1)
    (proposal,) = Pipeline().propose(image)
    np.testing.assert_array_equal(proposal.score, image.score.astype(np.float16).astype(np.float32))
    assert not np.array_equal(proposal.score, image.score)
