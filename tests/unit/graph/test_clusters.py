from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.errors import ClusterConflictError
from neardup.testing import ledger_of, make_decision
from neardup.types import ClusterId, ImageId

MOVES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=60)


def member_ids(state: ClusterState, cluster_id: str) -> list[tuple[str, int]]:
    return [(member.image_id, member.seq) for member in state.members(ClusterId(cluster_id)).members]


def test_an_image_leaves_one_cluster_and_enters_another() -> None:
    state = ClusterState(
        [
            make_decision(1, "a", "a"),
            make_decision(2, "b", "a"),
            make_decision(3, "c", "c"),
            make_decision(4, "b", "c", version=2),
        ]
    )
    assert member_ids(state, "a") == [("a", 1)]
    assert member_ids(state, "c") == [("c", 3), ("b", 4)]
    placement = state.placement(ImageId("b"))
    assert placement is not None
    assert (placement.cluster_id, placement.head, placement.version, placement.seq) == ("c", "c", 2, 4)


def test_the_last_member_takes_the_cluster_with_it() -> None:
    state = ClusterState([make_decision(1, "a", "a"), make_decision(2, "b", "b"), make_decision(3, "b", "a")])
    assert state.cluster(ClusterId("b")) is None
    assert [info.cluster_id for info in state.clusters()] == ["a"]


def test_a_head_may_not_leave_members_behind() -> None:
    state = ClusterState([make_decision(1, "a", "a"), make_decision(2, "b", "a"), make_decision(3, "c", "c")])
    with pytest.raises(ClusterConflictError, match="'a' is the head"):
        state.apply(make_decision(4, "a", "c"))
    assert state.seq == 3
    assert member_ids(state, "a") == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_seqs_are_dense(seq: int) -> None:
    state = ClusterState([make_decision(1, "a", "a")])
    with pytest.raises(ClusterConflictError, match="applied seq is 1"):
        state.apply(make_decision(seq, "b", "b"))


def test_pages() -> None:
    state = ClusterState([make_decision(seq, f"image {seq}", "image 1") for seq in range(1, 6)])
    cluster = ClusterId("image 1")
    first = state.members(cluster, limit=2)
    assert ([member.seq for member in first.members], first.after) == ([1, 2], 2)
    second = state.members(cluster, after=2, limit=3)
    assert ([member.seq for member in second.members], second.after) == ([3, 4, 5], None)
    assert state.members(cluster, after=5).members == ()
    assert state.members(ClusterId("unknown")).members == ()


@given(MOVES)
def test_always_a_partition_with_heads_inside(moves: list[tuple[str, str]]) -> None:
    decisions = ledger_of(moves)
    state = ClusterState(decisions)
    clusters = {info.cluster_id: info for info in state.clusters()}
    placements = {placement.image_id: placement for placement in state.placements()}
    assert placements.keys() == {decision.image_id for decision in decisions}
    seen: list[ImageId] = []
    for cluster_id, info in clusters.items():
        members = state.members(cluster_id).members
        assert len(members) == info.size > 0
        assert info.head in {member.image_id for member in members}
        assert all(before.seq < after.seq for before, after in pairwise(members))
        assert all(placements[member.image_id].cluster_id == cluster_id for member in members)
        seen += [member.image_id for member in members]
    assert sorted(seen) == sorted(placements)


@given(MOVES, st.integers(0, 60))
def test_a_fold_can_stop_and_go_on(moves: list[tuple[str, str]], stop: int) -> None:
    decisions = ledger_of(moves)
    state = ClusterState(decisions[:stop])
    for decision in decisions[stop:]:
        state.apply(decision)
    assert list(state.placements()) == list(ClusterState(decisions).placements())
    assert list(state.clusters()) == list(ClusterState(decisions).clusters())


@given(MOVES)
def test_the_latest_decision_of_an_image_is_its_placement(moves: list[tuple[str, str]]) -> None:
    decisions = ledger_of(moves)
    latest = {decision.image_id: decision for decision in decisions}
    state = ClusterState(decisions)
    for image_id, decision in latest.items():
        placement = state.placement(image_id)
        assert placement is not None
        assert (placement.cluster_id, placement.seq, placement.version) == (
            decision.cluster_id,
            decision.seq,
            decision.version,
        )
