"""Clusters stay findable when a command takes their exemplars away; on the real assigner over the ports in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.commands import CommandBody, Erase, Force, Move, Promote
from neardup.entries import Decision, HeadChanged, ImageErased
from neardup.types import ClusterId, ImageId
from tests.unit.graph.pipeline import Pipeline, make_image

A, B, C, Z = map(ImageId, "abcz")
FAR = 12


@pytest.fixture
def world() -> Pipeline:
    return cluster_of_three()


def cluster_of_three() -> Pipeline:
    """Cluster a with a, b and c, of which only a is found; and the image z on the other side of the circle."""
    world = Pipeline(enough_exemplars=1)
    for name in "abc":
        world.arrive(make_image(name, 0))
    world.arrive(make_image("z", FAR))
    world.project()
    assert exemplars(world) == 1
    return world


def exemplars(world: Pipeline) -> int:
    return world.store.clusters([ClusterId("a")])[ClusterId("a")].exemplars


def seq_of(world: Pipeline, image_id: ImageId) -> int:
    return world.store.placements([image_id])[image_id].seq


def test_when_the_only_exemplar_is_erased_the_others_are_found(world: Pipeline) -> None:
    erased, *indexed = world.tell(Erase(image_id=A))
    assert isinstance(erased, ImageErased)
    decisions = [entry for entry in indexed if isinstance(entry, Decision)]
    assert [(one.image_id, one.rule, one.indexed, one.head, one.cluster_id) for one in decisions] == [
        ("b", "exemplar", True, "b", "a"),
        ("c", "exemplar", True, "b", "a"),
    ]
    assert exemplars(world) == 2
    (again,) = world.arrive(make_image("d", 0))
    assert (again.cluster_id, again.head) == ("a", "b")


def test_who_is_not_found_leaves_without_more(world: Pipeline) -> None:
    (erased,) = world.tell(Erase(image_id=C))
    assert isinstance(erased, ImageErased)
    assert exemplars(world) == 1


@pytest.mark.parametrize("how", ["force", "move"])
def test_when_the_only_exemplar_is_moved_away_the_others_are_found(world: Pipeline, how: str) -> None:
    body: CommandBody = Force(image_id=A, into=Z)
    if how == "move":
        body = Move(images=((A, seq_of(world, A)),), to="own")
    changed, *decisions = world.tell(body)
    assert isinstance(changed, HeadChanged)
    assert [(one.image_id, one.rule) for one in decisions if isinstance(one, Decision)][1:] == [
        ("b", "exemplar"),
        ("c", "exemplar"),
    ]
    (again,) = world.arrive(make_image("d", 0))
    assert again.cluster_id in {"a", world.store.placements([A])[A].cluster_id}


def test_one_that_enters_stands_for_the_others(world: Pipeline) -> None:
    world.arrive(make_image("y", FAR))
    world.project()
    world.tell(Move(images=((Z, seq_of(world, Z)),), to="cluster", into=A))
    assert exemplars(world) == 2
    (erased,) = world.tell(Erase(image_id=A))
    assert isinstance(erased, ImageErased)


def test_a_cluster_that_all_leave_needs_nobody(world: Pipeline) -> None:
    images = tuple((one, seq_of(world, one)) for one in (A, B, C))
    decisions = [
        entry for entry in world.tell(Move(images=images, to="cluster", into=Z)) if isinstance(entry, Decision)
    ]
    assert {one.rule for one in decisions} == {"moved"}


@given(
    st.permutations([*"abcdz", "y", "a", "n"]), st.integers(1, 7), st.integers(1, 3), st.sampled_from([None, "b", "d"])
)
def test_erasures_together_come_to_what_they_come_to_one_by_one(
    erased: list[str], together: int, exemplars: int, promoted: str | None
) -> None:
    """However many share a wait for the graph, and whoever of them stood for the cluster or was its head."""
    answers = []
    for at_once in (1, together):
        world = Pipeline(enough_exemplars=exemplars)
        for name in "abcd":
            world.arrive(make_image(name, 0))
        world.arrive(make_image("z", FAR), make_image("y", FAR))
        world.project()
        if promoted is not None:
            world.tell(Promote(image_id=ImageId(promoted)))
        for name in erased:
            world.command(Erase(image_id=ImageId(name)))
        while world.waiting:
            world.decide(at_once)
            world.project()
        answers.append(world.entries)
    assert answers[0] == answers[1]


def test_when_a_new_version_takes_the_only_exemplar_away_the_others_are_found(world: Pipeline) -> None:
    """The head keeps its place, so it must be another one that is found alone."""
    world.tell(Promote(image_id=B))
    left, *others = world.arrive(make_image("a", FAR, version=2))
    assert (left.cluster_id, left.rule, left.previous_cluster) == ("z", "best-match", "a")
    assert [(one.image_id, one.rule, one.indexed, one.head, one.cluster_id) for one in others] == [
        ("b", "exemplar", True, "b", "a"),
        ("c", "exemplar", True, "b", "a"),
    ]
    assert {(one.actor, one.command_id, one.proposal_offset) for one in others} == {
        ("assigner", None, left.proposal_offset)
    }
    assert [one.seq for one in others] == [left.seq + 1, left.seq + 2]
    world.project()
    assert exemplars(world) == 2
    (again,) = world.arrive(make_image("d", 0))
    assert (again.cluster_id, again.head) == ("a", "b")


def test_copies_that_come_with_the_new_version_meet_those_who_stand_for_the_others() -> None:
    """However many are decided at once: who takes the place of the exemplar is seen by the very next image."""
    ledgers = []
    for at_once in (1, 10):
        world = cluster_of_three()
        world.tell(Promote(image_id=B))
        world.propose(make_image("n", FAR), make_image("a", FAR, version=2), make_image("d", 0), make_image("e", FAR))
        while world.waiting:
            world.decide(at_once)
        world.project()
        assert {world.store.placements([name])[name].cluster_id for name in map(ImageId, "bcd")} == {"a"}
        ledgers.append(world.entries)
    assert ledgers[0] == ledgers[1]


def test_who_leaves_others_that_are_found_leaves_without_more(world: Pipeline) -> None:
    world.tell(Force(image_id=Z, into=A))
    world.tell(Promote(image_id=B))
    (left,) = world.arrive(make_image("a", 6, version=2))
    assert left.previous_cluster == "a"
