"""What a rollback promises, checked on the ledger before and after it."""

from collections.abc import Callable, Sequence

from neardup.clusters import ClusterState
from neardup.commands import Move
from neardup.entries import ASSIGNER, NOT_SAID, Decision, Entry, NotMoved, images_of
from neardup.rollback import Plan
from neardup.types import ClusterId, ImageId
from tests.unit.graph.pipeline import Pipeline

__all__ = ["MakePlan", "check_back_to", "check_changes", "roll_back"]

MakePlan = Callable[[Sequence[Entry]], Plan]


def roll_back(world: Pipeline, make_plan: MakePlan, *, sent: int) -> tuple[Plan, list[Entry]]:
    """Carry a plan out; after so many commands whoever sends them and the assigner die, and a new plan is made. Returns
    the first plan and the ledger it was made of."""
    before = world.entries
    plan = make_plan(before)
    answers = _told(world, plan.commands[:sent])
    if sent < len(plan.commands):
        world.restart()
        answers = _told(world, make_plan(world.entries).commands)
    for _ in range(3):
        if not any(isinstance(entry, NotMoved) for entry in answers):
            break
        rest = make_plan(world.entries)
        assert rest.goes_on_with(plan)
        answers = _told(world, rest.commands)
    again = make_plan(world.entries)
    assert (again.changes, again.commands) == ((), ())
    assert (dict(again.kept).keys(), set(again.again)) == (dict(plan.kept).keys(), set(plan.again))
    return plan, before


def _told(world: Pipeline, commands: Sequence[Move]) -> list[Entry]:
    """The answers. Nobody is left out but who came to stand for a cluster in the middle of it."""
    answers = [entry for body in commands for entry in world.tell(body)]
    # A head that was to be set may have become head when others left.
    assert {entry.kind for entry in answers} <= {"decision", "head-changed", "unchanged", "not-moved"}
    stand_in = {entry.seq for entry in answers if isinstance(entry, Decision) and entry.rule == "exemplar"}
    left_out = [image_id for entry in answers if isinstance(entry, NotMoved) for image_id, _ in entry.images]
    assert {placement.seq for placement in world.store.placements(left_out).values()} <= stand_in
    return answers


def check_changes(plan: Plan, before: ClusterState, after: ClusterState) -> None:
    """Whoever changes is where the plan says, with nobody that it does not know of; everybody else has stayed."""
    changes = {change.image_id: change.to for change in plan.changes}
    stayed = [placement for placement in before.placements() if placement.image_id not in changes]
    assert not dict(plan.kept).keys() & changes.keys()
    for placement in stayed:
        now = after.placement(placement.image_id)
        assert now is not None
        assert now.segment == placement.segment
        assert after.member_seq(placement.image_id) == before.member_seq(placement.image_id)
    for image_id, to in changes.items():
        if to is None:
            assert members(after, image_id) == {image_id}
            continue
        stay = {placement.image_id for placement in stayed if placement.cluster_id == to}
        assert members(after, image_id) == stay | {other for other, where in changes.items() if where == to}
        if stay:
            assert cluster_of(after, image_id) == to


def check_back_to(plan: Plan, seq: int, entries: Sequence[Entry], after: ClusterState) -> None:
    """The partition is that of then, but for what the plan keeps, for what people merged, and for what was erased."""
    then, before = ClusterState(entries[:seq]), ClusterState(entries)
    kept = dict(plan.kept)
    back = [placement.image_id for placement in before.placements() if placement.image_id not in kept]
    known = {image_id: cluster_of(then, image_id) for image_id in back if then.placement(image_id) is not None}
    assert set(plan.again) == set(back) - known.keys()
    for image_id in plan.again:
        assert members(after, image_id) == {image_id}
    for image_id, was in known.items():
        for other, other_was in known.items():
            together = was == other_was or merged(then, before, was, other_was)
            assert (cluster_of(after, image_id) == cluster_of(after, other)) == together
    named = {
        image_id
        for entry in entries[seq:]
        if entry.actor != ASSIGNER and getattr(entry, "rule", None) not in NOT_SAID
        for image_id in images_of(entry)
    }
    for change in plan.changes:
        was_in = known.get(change.image_id)
        info = None if was_in is None else then.cluster(was_in)
        if was_in is not None and info is not None and info.head == change.image_id:
            head = after.placement(change.image_id)
            home = before.cluster(was_in)
            assert head is not None
            assert head.head == change.image_id or head.head in named or (home and home.cluster_id != was_in)


def members(state: ClusterState, image_id: ImageId) -> set[ImageId]:
    return {member.image_id for member in state.members(cluster_of(state, image_id)).members}


def cluster_of(state: ClusterState, image_id: ImageId) -> ClusterId:
    placement = state.placement(image_id)
    assert placement is not None
    return placement.cluster_id


def merged(then: ClusterState, state: ClusterState, one: ClusterId, other: ClusterId) -> bool:
    """Whether these clusters of then are parts of one: these, not others that were made anew under their ids."""
    a, b = state.cluster(one), state.cluster(other)
    return a is not None and b is not None and a.cluster_id == b.cluster_id and same(then, state, one, other)


def same(then: ClusterState, state: ClusterState, *names: ClusterId) -> bool:
    parts = [(then.part(name), state.part(name)) for name in names]
    return all(was is not None and now is not None and was.since == now.since for was, now in parts)
