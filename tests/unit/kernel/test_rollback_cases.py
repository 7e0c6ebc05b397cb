"""Rollback where people have a say in it: what is kept and told, and what comes of an interruption."""

from collections.abc import Sequence
from functools import partial

from neardup.clusters import ClusterState
from neardup.commands import CommandBody, Erase, Force, Merge, Promote, Unmerge, Verdict
from neardup.entries import Entry, NotMoved
from neardup.rollback import Plan, plan_back_to, plan_without
from neardup.types import ClusterId, ImageId
from tests.unit.graph.pipeline import Pipeline, clusters_of, make_image
from tests.unit.graph.rolling_back import MakePlan, check_back_to, check_changes, roll_back

A, B, C, X, Y = (ImageId(name) for name in "abcxy")


def world_of(places: dict[str, int]) -> Pipeline:
    """Images that came one after the other, at these places."""
    world = Pipeline(enough_members=1)
    for name, step in places.items():
        come(world, name, step)
    return world


def come(world: Pipeline, name: str, step: int, *, version: int = 1) -> None:
    world.arrive(make_image(name, step, version=version))
    world.project()


def tell(world: Pipeline, *bodies: CommandBody) -> int:
    """The seq after these commands."""
    for body in bodies:
        world.tell(body)
    return len(world.entries)


def back_to(world: Pipeline, seq: int, *, sent: int = 1000, largest: int = 1000) -> dict[ImageId, str]:
    """Roll back; what was kept, with the reasons."""
    plan, entries = roll_back(world, lambda ledger: plan_back_to(ledger, seq, largest=largest), sent=sent)
    after = ClusterState(world.entries)
    check_changes(plan, ClusterState(entries), after)
    check_back_to(plan, seq, entries, after)
    return dict(plan.kept)


def partition(world: Pipeline) -> set[str]:
    return {"".join(sorted(cluster)) for cluster in clusters_of(world.entries)}


def head_of(world: Pipeline, name: ImageId) -> ImageId:
    return world.store.placements([name])[name].head


def test_who_came_along_in_a_merge_is_listed() -> None:
    world = world_of({"a": 0, "b": 0, "x": 12, "y": 12})
    seq = len(world.entries)
    merged = tell(world, Merge(source=X, target=A))
    come(world, "y", 12, version=2)
    kept = back_to(world, seq)
    assert kept == dict.fromkeys([X, Y], f"somebody merged cluster 'x' into 'a' at seq {merged}")
    assert partition(world) == {"abxy"}


def test_who_was_taken_out_with_a_part_stays_out() -> None:
    world = world_of({"a": 0, "x": 12, "y": 12})
    seq = tell(world, Merge(source=X, target=A))
    come(world, "y", 12, version=2)
    parted = tell(world, Unmerge(cluster=X))
    assert back_to(world, seq) == dict.fromkeys([X, Y], f"somebody took cluster 'x' out of 'a' at seq {parted}")
    assert partition(world) == {"a", "xy"}


def test_the_head_that_a_person_chose_stays() -> None:
    world = world_of({"a": 0, "b": 0, "c": 0, "x": 12})
    seq = len(world.entries)
    tell(world, Promote(image_id=B))
    come(world, "a", 12, version=2)
    assert back_to(world, seq) == {}
    assert partition(world) == {"abc", "x"}
    assert head_of(world, A) == B


def test_who_was_made_head_where_it_is_stays_there() -> None:
    world = world_of({"a": 0, "b": 0, "x": 12})
    seq = len(world.entries)
    come(world, "b", 12, version=2)
    promoted = tell(world, Promote(image_id=B))
    assert back_to(world, seq) == {B: f"somebody made it the head at seq {promoted}"}
    assert head_of(world, X) == B


def test_the_head_of_a_merged_cluster_is_not_that_of_the_whole() -> None:
    """'y' comes back to its cluster, which is a part of another one now."""
    world = world_of({"a": 0, "x": 12, "y": 12})
    seq = tell(world, Promote(image_id=Y))
    tell(world, Promote(image_id=X), Merge(source=X, target=A))
    come(world, "y", 6, version=2)
    back_to(world, seq)
    assert partition(world) == {"axy"}
    assert head_of(world, Y) == A


def test_a_rollback_can_be_rolled_back() -> None:
    world = world_of({"a": 0, "b": 0, "x": 12})
    seq = len(world.entries)
    come(world, "b", 12, version=2)
    come(world, "c", 0)
    before = len(world.entries)
    assert back_to(world, seq) == {}
    assert partition(world) == {"ab", "c", "x"}
    assert back_to(world, before) == {}
    assert partition(world) == {"ac", "bx"}


def test_a_verdict_keeps_whom_it_would_part_and_that_is_listed() -> None:
    world = world_of({"a": 0, "b": 0, "x": 12, "y": 12})
    tell(world, Verdict(link="cannot-link", a=B, b=Y))
    seq = len(world.entries)
    come(world, "b", 6, version=2)
    forced = tell(world, Force(image_id=Y, into=A))
    assert back_to(world, seq) == {
        B: "a cannot-link keeps it apart from 'y'",
        Y: f"somebody decided it at seq {forced} (forced)",
    }
    assert partition(world) == {"ay", "b", "x"}


def test_of_two_who_are_in_each_others_way_both_are_kept() -> None:
    world = world_of({"a": 0, "b": 0, "x": 12, "y": 12})
    tell(world, Verdict(link="cannot-link", a=B, b=Y))
    seq = len(world.entries)
    come(world, "b", 6, version=2)
    come(world, "y", 0, version=2)
    come(world, "b", 12, version=3)
    assert partition(world) == {"ay", "bx"}
    assert back_to(world, seq).keys() == {B, Y}
    assert partition(world) == {"ay", "bx"}


def test_nobody_meets_whom_a_verdict_keeps_apart_on_the_way() -> None:
    """'b' goes back to where 'y' is, who leaves it for another cluster in the same plan."""
    world = world_of({"a": 0, "b": 0, "x": 12, "y": 12})
    tell(world, Verdict(link="cannot-link", a=B, b=Y))
    seq = len(world.entries)
    come(world, "b", 6, version=2)
    come(world, "y", 0, version=2)
    assert partition(world) == {"ay", "b", "x"}
    assert back_to(world, seq) == {}
    assert partition(world) == {"ab", "xy"}


def test_a_word_from_before_a_decision_does_not_keep_it() -> None:
    world = world_of({"a": 0, "x": 12, "b": 0})
    tell(world, Verdict(link="cannot-link", a=B, b=X))
    come(world, "a", 0, version=2)
    come(world, "b", 6, version=2)
    undone = {entry.seq for entry in world.decisions if entry.version == 2}
    plan, _ = roll_back(world, lambda ledger: plan_without(ledger, lambda one: one.seq in undone), sent=1000)
    assert plan.kept == ()
    assert partition(world) == {"ab", "x"}


def test_interrupted_between_two_parts_the_others_follow() -> None:
    """The cluster they were in is no more; the first two made another one."""

    def ready() -> tuple[Pipeline, int]:
        world = world_of({"a": 0, "b": 0, "c": 0, "x": 12})
        seq = len(world.entries)
        for name in "bca":
            come(world, name, 12, version=2)
        assert partition(world) == {"abcx"}
        return world, seq

    for sent in range(3):
        world, seq = ready()
        assert back_to(world, seq, sent=sent, largest=2) == {}
        assert partition(world) == {"abc", "x"}
        assert head_of(world, B) == A
        world, _ = ready()
        roll_back(world, partial(plan_without, undo=lambda one: one.version == 2, largest=2), sent=sent)
        assert partition(world) == {"abc", "x"}


def test_only_those_move_who_are_not_where_they_belong() -> None:
    world = world_of({"x": 12, "a": 0, "b": 0})
    seq = len(world.entries)
    come(world, "b", 12, version=2)
    come(world, "a", 12, version=2)
    come(world, "b", 6, version=3)
    plan = plan_back_to(world.entries, seq)
    assert [(change.image_id, change.to) for change in plan.changes] == [(A, "b")]
    back_to(world, seq)
    assert partition(world) == {"ab", "x"}
    assert head_of(world, B) == A


def test_a_cluster_that_got_the_id_of_one_that_is_no_more_is_another() -> None:
    world = world_of({"a": 0, "b": 0, "x": 12})
    seq = len(world.entries)
    come(world, "b", 12, version=2)
    come(world, "a", 12, version=2)
    come(world, "a", 6, version=3)
    tell(world, Force(image_id=X, into=A), Promote(image_id=X))
    come(world, "a", 12, version=4)
    assert partition(world) == {"ab", "x"}
    assert world.store.placements([X])[X].cluster_id == "a"
    assert back_to(world, seq).keys() == {X}
    assert partition(world) == {"ab", "x"}


def test_who_goes_back_to_a_cluster_whose_id_another_one_has_makes_a_new_one() -> None:
    world = world_of({"a": 0, "b": 0, "x": 12, "y": 12})
    seq = len(world.entries)
    come(world, "b", 12, version=2)
    come(world, "a", 12, version=2)
    come(world, "a", 6, version=3)
    tell(world, Force(image_id=Y, into=A))
    come(world, "b", 6, version=3)
    (change, other) = plan_back_to(world.entries, seq).changes
    assert {change.image_id, other.image_id} == {A, B}
    assert (change.cluster_id, change.to, other.to) == ("a", "a#1", "a#1")
    assert back_to(world, seq).keys() == {Y}
    assert partition(world) == {"ab", "x", "y"}


def test_of_those_who_shall_be_alone_the_last_one_stays() -> None:
    world = world_of({"a": 0, "b": 0})
    plan, _ = roll_back(world, lambda ledger: plan_without(ledger, lambda _: True, largest=1), sent=1000)
    assert [change.image_id for change in plan.changes] == [B]
    assert set(plan.again) == {A, B}
    assert partition(world) == {"a", "b"}


def test_one_cluster_is_rolled_back_and_interrupted() -> None:
    """Who has left it by the first half still belongs to what is rolled back."""
    for sent in range(4):
        world = world_of({"c": 0, "d": 0, "x": 12})
        seq = len(world.entries)
        come(world, "d", 6, version=2)
        come(world, "y", 6)
        come(world, "z", 6)
        make_plan: MakePlan = partial(plan_back_to, seq=seq, cluster=ClusterId("d"), largest=1)
        plan, _ = roll_back(world, make_plan, sent=sent)
        assert set(plan.again) == {"y", "z"}
        assert partition(world) == {"cd", "x", "y", "z"}


def test_what_is_erased_or_forced_stays_so() -> None:
    world = world_of({"a": 0, "b": 0, "c": 0, "x": 12})
    seq = len(world.entries)
    tell(world, Erase(image_id=C), Force(image_id=B, into=X))
    assert back_to(world, seq).keys() == {B}
    assert partition(world) == {"a", "bx"}


def test_whoever_stood_in_for_a_cluster_meanwhile_goes_too() -> None:
    """The first command takes the only one away whom searches find; the second is for one of those who follow it."""

    def ready() -> Pipeline:
        world = Pipeline(enough_exemplars=1)
        world.arrive(*(make_image(name, 0) for name in "abcdef"))
        world.project()
        return world

    def undo(ledger: Sequence[Entry]) -> Plan:
        return plan_without(ledger, lambda one: one.seq in {1, 2}, largest=1)

    world = ready()
    answers = [entry for body in undo(world.entries).commands for entry in world.tell(body)]
    assert [entry.images[0][0] for entry in answers if isinstance(entry, NotMoved)] == [B]
    world = ready()
    roll_back(world, undo, sent=2)
    assert partition(world) == {"a", "b", "cdef"}
