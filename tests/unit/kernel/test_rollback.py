"""Plans that undo decisions, carried out by the real assigner on the ports in memory."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.commands import Command, CommandBody, Force
from neardup.entries import NotMoved, Refused
from neardup.rollback import Plan, plan_back_to, plan_without
from neardup.types import ImageId
from tests.unit.graph.pipeline import Pipeline, make_image

NAMES = st.sampled_from("abcdef")
PLACES = st.sampled_from([0, 0, 1, 2, 3, 12, 13])
COMINGS = st.lists(st.tuples(NAMES, PLACES), min_size=1, max_size=14)


def tell(world: Pipeline, *bodies: CommandBody, actor: str = "somebody") -> None:
    for body in bodies:
        number = world.proposals.end()
        command = Command(command_id=str(number), actor=actor, reason="a test", at_ms=number, body=body)
        world.project()
        world.proposals.append([command])
        world.decide(1000)
    world.project()


def arrive(world: Pipeline, comings: Sequence[tuple[str, int]], versions: dict[str, int]) -> None:
    for name, step in comings:
        versions[name] = versions.get(name, 0) + 1
        world.arrive(make_image(name, step, version=versions[name]))
    world.project()


def partition(state: ClusterState, of: set[ImageId]) -> set[frozenset[ImageId]]:
    found = {
        frozenset(member.image_id for member in state.members(info.cluster_id).members if member.image_id in of)
        for info in state.clusters()
    }
    return found - {frozenset()}


def carry_out(world: Pipeline, plan: Plan) -> None:
    before = len(world.entries)
    tell(world, *plan.commands)
    answers = world.entries[before:]
    assert not [entry for entry in answers if isinstance(entry, NotMoved | Refused)]


@given(COMINGS, COMINGS)
@settings(max_examples=100)
def test_what_was_decided_since_is_undone(earlier: list[tuple[str, int]], later: list[tuple[str, int]]) -> None:
    world, versions = Pipeline(), dict[str, int]()
    arrive(world, earlier, versions)
    then = ClusterState(world.entries)
    arrive(world, later, versions)
    plan = plan_back_to(world.entries, then.seq)
    assert plan.kept == ()
    carry_out(world, plan)
    now = ClusterState(world.entries)
    known = {placement.image_id for placement in then.placements()}
    assert partition(now, known) == partition(then, known)
    for placement in now.placements():
        was = then.placement(placement.image_id)
        if was is None:
            assert placement.head == placement.image_id
            assert placement.image_id in plan.again
        else:
            assert placement.head == was.head
    assert not plan_back_to(world.entries, len(world.entries)).commands


@given(COMINGS, COMINGS)
@settings(max_examples=40)
def test_what_a_person_touched_is_kept(earlier: list[tuple[str, int]], later: list[tuple[str, int]]) -> None:
    world, versions = Pipeline(), dict[str, int]()
    arrive(world, [("a", 0), ("b", 12), *earlier], versions)
    seq = len(world.entries)
    tell(world, Force(image_id=ImageId("a"), into=ImageId("b")))
    arrive(world, [("a", 0), *later], versions)
    plan = plan_back_to(world.entries, seq)
    was, where = (ClusterState(entries).placement(ImageId("a")) for entries in (world.entries[:seq], world.entries))
    assert was is not None
    assert where is not None
    if was.cluster_id != where.cluster_id:
        assert [image_id for image_id, _ in plan.kept if image_id == "a"] == ["a"]
    carry_out(world, plan)
    now = ClusterState(world.entries).placement(ImageId("a"))
    assert now is not None
    assert now.seq == where.seq


def test_the_decisions_of_one_model_are_undone() -> None:
    world = Pipeline()
    world.arrive(make_image("a", 0))
    world.arrive(make_image("b", 0))
    world.arrive(make_image("c", 12))
    world.arrive(make_image("c", 0, version=2))
    last = world.decisions[-1]
    assert last.head == "a"
    plan = plan_without(world.entries, lambda decision: decision.seq == last.seq)
    assert [(change.image_id, change.to) for change in plan.changes] == [("c", "c")]
    assert plan.again == ()
    carry_out(world, plan)
    state = ClusterState(world.entries)
    assert partition(state, {ImageId(name) for name in "abc"}) == {
        frozenset([ImageId("a"), ImageId("b")]),
        frozenset([ImageId("c")]),
    }


def test_a_seq_beyond_the_ledger_is_refused() -> None:
    with pytest.raises(ValueError, match="to: seq 5 is not between 0 and 0"):
        plan_back_to([], 5)
