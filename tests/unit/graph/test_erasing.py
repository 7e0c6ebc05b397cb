"""Erasing images: what the assigner answers, what is left, and what never comes back."""

from collections.abc import Sequence

import pytest

from neardup.commands import Erase, Force
from neardup.entries import ImageErased, Unchanged
from neardup.errors import ClusterStoreUnavailableError
from neardup.testing import InMemoryClusterStore
from neardup.types import ClusterId, ClusterInfo, ImageId, MemberOrder, Page, Placement
from tests.unit.graph.pipeline import Pipeline, make_image
from tests.unit.graph.telling import (
    FAR,
    A,
    B,
    X,
    Z,
    clusters,
    only,
    refused,
    unchanged,
)


def test_erase(world: Pipeline) -> None:
    entry = only(world.tell(Erase(image_id=B)), ImageErased)
    assert (entry.cluster_id, entry.head, entry.previous_seq) == ("a", "a", 2)
    assert clusters(world) == {"a": "ac", "z": "zy"}
    assert world.ledger.erased == ["b"]
    assert world.index.images([B]) == {}
    assert world.cache.placements([B]) == {}
    assert unchanged(world, Erase(image_id=B)) == "'b' was erased before"
    assert refused(world, Force(image_id=B, into=A)) == "'b' is not an image of this namespace"


def test_an_erased_image_never_comes_back(world: Pipeline) -> None:
    world.tell(Erase(image_id=B))
    entries = len(world.entries)
    world.restart()
    assert world.arrive(make_image("b", 0, version=9)) == []
    assert len(world.entries) == entries
    assert world.ledger.erased == ["b", "b"]


def test_what_was_proposed_before_an_erasure_does_not_name_it(world: Pipeline) -> None:
    world.command(Erase(image_id=B))
    world.propose(make_image("n", 0))
    world.settle()
    decision = world.decisions[-1]
    assert decision.image_id == "n"
    assert {match.image_id for match in decision.matches} == {"a", "c"}


def test_an_image_on_its_way_can_be_erased(world: Pipeline) -> None:
    entry = only(world.tell(Erase(image_id=X)), ImageErased)
    assert (entry.cluster_id, entry.head) == (None, None)
    assert world.arrive(make_image("x", 0)) == []


def test_consecutive_erasures_are_answered_together(world: Pipeline) -> None:
    """Producers delete many images at a time: to wait for the graph after each would take minutes."""
    for image_id in (B, X, Z, B, A):
        world.command(Erase(image_id=image_id))
    world.propose(make_image("n", 0))
    batch = world.proposals.read(offset=world.next_offset, limit=10)
    outcome = world.assigner.decide(batch)
    assert [type(entry) for entry in outcome.entries] == [ImageErased, ImageErased, ImageErased, Unchanged, ImageErased]
    assert [entry.proposal_offset for entry in outcome.entries] == [offset for offset, _ in batch[:5]]
    assert [entry.head for entry in outcome.entries if isinstance(entry, ImageErased)] == ["a", None, "y", "c"]
    assert (outcome.erased, outcome.next_offset) == ((B, X, Z, A), batch[5][0])
    world.restart()
    world.settle()
    assert clusters(world) == {"c": "cn", "y": "y"}


def test_many_erasures_ask_the_graph_once(world: Pipeline) -> None:
    class Counting(InMemoryClusterStore):
        asked = 0

        def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
            self.asked += 1
            return super().placements(image_ids)

        def clusters(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo]:
            self.asked += 1
            return super().clusters(cluster_ids)

        def members(
            self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
        ) -> Page:
            self.asked += 1
            return super().members(cluster_id, after=after, limit=limit, order=order)

    store = Counting()
    world = Pipeline(store=store)
    world.arrive(*(make_image(f"i{step}", step) for step in range(0, 24, 4)))
    world.project()
    for step in range(0, 24, 4):
        world.command(Erase(image_id=ImageId(f"i{step}")))
    before = store.asked
    world.decide(10)
    assert store.asked - before == 2
    world.project()
    assert clusters(world) == {}


def test_an_erasure_that_fails_does_not_take_those_before_it_along() -> None:
    class Failing(InMemoryClusterStore):
        asked, answers = 0, 10**6

        def members(
            self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
        ) -> Page:
            self.asked += 1
            if self.asked > self.answers:
                raise ClusterStoreUnavailableError("away")
            return super().members(cluster_id, after=after, limit=limit, order=order)

    store = Failing()
    world = Pipeline(store=store)
    world.arrive(make_image("a", 0), make_image("z", FAR))
    world.arrive(make_image("b", 0), make_image("y", FAR))
    world.project()
    for image_id in (A, Z):
        world.command(Erase(image_id=image_id))
    batch = world.proposals.read(offset=world.next_offset, limit=10)
    store.answers = store.asked
    with pytest.raises(ClusterStoreUnavailableError):
        world.assigner.decide(batch)
    store.answers = store.asked + 1
    outcome = world.assigner.decide(batch)
    assert ([type(entry) for entry in outcome.entries], outcome.next_offset) == ([ImageErased], batch[1][0])
    store.answers = 10**6
    world.writer.append(outcome.entries, standing=outcome.standing, erased=outcome.erased)
    world.next_offset = outcome.next_offset
    world.settle()
    assert clusters(world) == {"b": "b", "y": "y"}
    assert world.ledger.erased == ["a", "z"]


def test_erasing_a_head_names_the_next(world: Pipeline) -> None:
    entry = only(world.tell(Erase(image_id=A)), ImageErased)
    assert (entry.cluster_id, entry.head) == ("a", "b")
    assert clusters(world) == {"b": "bc", "z": "zy"}
    # The id of the old head stands for its cluster for ever.
    assert world.store.clusters([ClusterId("a")])[ClusterId("a")].head == "b"
    (joined,) = world.arrive(make_image("n", 0))
    assert (joined.cluster_id, joined.head) == ("a", "b")
    for name in "bcn":
        world.project()
        world.tell(Erase(image_id=ImageId(name)))
    assert world.store.clusters([ClusterId("a")]) == {}
