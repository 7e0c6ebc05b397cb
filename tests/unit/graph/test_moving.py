"""Forcing and moving images, and splitting clusters."""

from dataclasses import replace

import pytest

from neardup.commands import Force, Move, Unforce
from neardup.entries import Decision, HeadChanged, NotMoved, Unforced
from neardup.types import ClusterId, ImageId
from tests.unit.graph.pipeline import Pipeline, make_image
from tests.unit.graph.telling import FAR, A, B, C, X, Z, clusters, move, only, seq_of, unchanged, verdict


def test_force_moves_an_image_and_keeps_it(world: Pipeline) -> None:
    decision = only(world.tell(Force(image_id=B, into=Z)), Decision)
    assert (decision.cluster_id, decision.rule, decision.previous_cluster, decision.previous_seq) == (
        "z",
        "forced",
        "a",
        2,
    )
    assert (decision.evidence, decision.indexed) == (None, True)
    assert clusters(world) == {"a": "ac", "z": "zyb"}
    (again,) = world.arrive(make_image("b", 0, version=2))
    assert (again.cluster_id, again.rule, again.version, again.bridges) == ("z", "forced", 2, ("a",))
    assert unchanged(world, Force(image_id=B, into=ImageId("y"))) == "'b' was forced into this cluster before"


def test_force_of_a_head_passes_its_place_on(world: Pipeline) -> None:
    changed, decision = world.tell(Force(image_id=A, into=Z))
    assert isinstance(changed, HeadChanged)
    assert (changed.cluster_id, changed.head, changed.previous_head) == ("a", "b", "a")
    assert isinstance(decision, Decision)
    assert clusters(world) == {"b": "bc", "z": "zya"}
    # The old head's id stands for where that image is; its cluster keeps its id.
    assert world.store.clusters([ClusterId("a")])[ClusterId("a")].head == "b"


def test_force_where_it_is_only_keeps_it(world: Pipeline) -> None:
    decision = only(world.tell(Force(image_id=B, into=B)), Decision)
    assert (decision.rule, decision.previous_cluster) == ("forced", None)
    (again,) = world.arrive(make_image("b", FAR, version=2))
    assert (again.cluster_id, again.rule) == ("a", "forced")


def test_unforce_lets_an_image_be_decided_again(world: Pipeline) -> None:
    world.tell(Force(image_id=B, into=Z))
    only(world.tell(Unforce(image_id=B)), Unforced)
    assert clusters(world)["z"] == "zyb"
    (again,) = world.arrive(make_image("b", 0, version=2))
    assert (again.cluster_id, again.rule) == ("a", "best-match")
    assert unchanged(world, Unforce(image_id=B)) == "'b' is not forced"


def test_split_names_the_first_as_head(world: Pipeline) -> None:
    entries = world.tell(move(world, "c", "b"))
    assert [(e.image_id, e.cluster_id, e.rule) for e in entries if isinstance(e, Decision)] == [
        ("c", "c", "moved"),
        ("b", "c", "moved"),
    ]
    assert clusters(world) == {"a": "a", "c": "cb", "z": "zy"}
    assert unchanged(world, move(world, "b", "c")) == "they are there already"


def test_split_with_the_head_names_another_first(world: Pipeline) -> None:
    entries = world.tell(move(world, "a", "b"))
    assert [type(entry) for entry in entries] == [HeadChanged, Decision, Decision]
    assert clusters(world) == {"c": "c", "a": "ab", "z": "zy"}


def test_moving_all_of_a_cluster_empties_it(world: Pipeline) -> None:
    world.tell(move(world, "z", "y", to="cluster", into="a"))
    assert clusters(world) == {"a": "abczy"}
    assert world.store.clusters([ClusterId("z")]) == {}


def test_moving_into_a_cluster_may_name_its_head(world: Pipeline) -> None:
    def to_a(*images: str, head: str) -> Move:
        body = move(world, *images, to="cluster", into="a")
        return replace(body, head=ImageId(head), rule="rolled-back")

    entries = world.tell(to_a("y", head="y"))
    assert [(type(entry), getattr(entry, "rule", None)) for entry in entries] == [
        (Decision, "rolled-back"),
        (HeadChanged, None),
    ]
    assert clusters(world) == {"y": "abcy", "z": "z"}
    # By itself, a change of the head would pass for a promotion.
    entries = world.tell(to_a("b", head="b"))
    assert [type(entry) for entry in entries] == [HeadChanged, Decision]
    assert clusters(world) == {"b": "abcy", "z": "z"}
    assert unchanged(world, to_a("b", head="b")) == "they are there already"
    assert unchanged(world, to_a("b", head="z")) == "they are there already"
    stale = Move(images=((C, 99),), to="cluster", into=A, head=C)
    assert [type(entry) for entry in world.tell(stale)] == [NotMoved]


def test_moving_each_to_a_cluster_of_its_own(world: Pipeline) -> None:
    world.tell(move(world, "a", "b", "z", to="each"))
    assert clusters(world) == {"c": "c", "b": "b", "a": "a", "y": "y", "z": "z"}
    assert unchanged(world, move(world, "a", "b", to="each")) == "they are there already"


def test_what_was_decided_again_is_not_moved(world: Pipeline) -> None:
    stale = Move(images=((B, seq_of(world, "b")), (C, 99), (X, 1)), to="own")
    decision, kept = world.tell(stale)
    assert isinstance(decision, Decision)
    assert decision.image_id == "b"
    assert isinstance(kept, NotMoved)
    assert kept.images == (
        ("c", "was decided again meanwhile: its seq is 3, not 99"),
        ("x", "is not an image of this namespace"),
    )


def test_a_move_obeys_verdicts_and_forces(world: Pipeline) -> None:
    world.tell(verdict("must-link", "a", "b"))
    world.tell(Force(image_id=C, into=C))
    kept = only(world.tell(move(world, "b", "c")), NotMoved)
    assert kept.images == (
        ("c", "was forced into its cluster"),
        ("b", "a must-link keeps it with 'a', which is not moved"),
    )
    world.tell(move(world, "a", "b"))
    assert clusters(world) == {"c": "c", "a": "ab", "z": "zy"}
    world.tell(verdict("cannot-link", "b", "y"))
    kept = only(world.tell(move(world, "y", to="cluster", into="a")), NotMoved)
    assert kept.images == (("y", "a cannot-link keeps 'y' apart from 'b', which is in it"),)
    kept = world.tell(move(world, "y", "a", "b"))[-1]
    assert isinstance(kept, NotMoved)
    assert [name for name, _ in kept.images] == ["a", "b"]


def test_a_moved_image_is_found_where_it_is(world: Pipeline) -> None:
    copies = Pipeline(enough_exemplars=2)
    copies.arrive(*(make_image(name, 0) for name in "abcd"))
    copies.project()
    assert not copies.store.placements([ImageId("d")])[ImageId("d")].indexed
    (moved,) = copies.tell(move(copies, "d"))
    assert isinstance(moved, Decision)
    assert moved.indexed
    image = copies.index.images([ImageId("d")])[ImageId("d")]
    assert (image.searchable, image.seq) == (True, moved.seq)


@pytest.mark.parametrize("indexed", [True, False])
def test_a_moved_image_meets_what_was_searched_before(indexed: bool) -> None:
    """The search of "e" saw the index before "d" was moved, and could not find it then."""
    world = Pipeline(enough_exemplars=2)
    world.arrive(*(make_image(name, 0) for name in "abcd"))
    world.project()
    world.command(move(world, "d"))
    world.propose(make_image("e", 0))
    world.decide(1)
    if indexed:
        world.project_index(1000)
    else:
        world.restart()
    world.decide(1)
    assert {match.image_id for match in world.decisions[-1].matches} == {"a", "b", "d"}
