from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, ImageErased, images_of
from neardup.errors import ClusterConflictError, InvalidCursorError
from neardup.testing import STEPS, entries_of, ledger_of, make_decision
from neardup.types import ClusterId, ImageId, Member

LEDGERS = st.lists(
    st.tuples(st.sampled_from([*["place"] * 5, *STEPS]), st.sampled_from("abcdef"), st.sampled_from("abcdef")),
    max_size=60,
).map(entries_of)
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
    assert [member.seq for member in first.members] == [1, 2]
    assert first.after is not None
    second = state.members(cluster, after=first.after, limit=3)
    assert ([member.seq for member in second.members], second.after) == ([3, 4, 5], None)
    assert state.members(ClusterId("unknown")).members == ()


@given(LEDGERS)
def test_always_a_partition_with_heads_inside(entries: list[Entry]) -> None:
    state = ClusterState(entries)
    clusters = {info.cluster_id: info for info in state.clusters()}
    placements = {placement.image_id: placement for placement in state.placements()}
    erased: set[ImageId] = set()
    for entry in entries:
        erased = erased | {entry.image_id} if isinstance(entry, ImageErased) else erased - set(images_of(entry))
    decided = {entry.image_id for entry in entries if isinstance(entry, Decision)}
    assert placements.keys() == decided - erased
    seen: list[ImageId] = []
    for cluster_id, info in clusters.items():
        members = state.members(cluster_id).members
        assert len(members) == info.size > 0
        assert info.head in {member.image_id for member in members}
        assert all(placements[member.image_id].cluster_id == cluster_id for member in members)
        assert info.exemplars == sum(placements[member.image_id].indexed for member in members)
        segments = state.segments(cluster_id)
        assert [segment.cluster_id for segment in segments] == [*info.merged, cluster_id]
        assert sum(segment.size for segment in segments) == info.size
        for segment in segments:
            assert state.cluster(segment.cluster_id) == info
        seen += [member.image_id for member in members]
    assert sorted(seen) == sorted(placements)


@given(LEDGERS, st.integers(0, 60))
def test_a_fold_can_stop_and_go_on(entries: list[Entry], stop: int) -> None:
    state = ClusterState(entries[:stop])
    for entry in entries[stop:]:
        state.apply(entry)
    assert list(state.placements()) == list(ClusterState(entries).placements())
    assert list(state.clusters()) == list(ClusterState(entries).clusters())


@given(LEDGERS, st.integers(1, 5))
def test_pages_give_every_member_once(entries: list[Entry], limit: int) -> None:
    state = ClusterState(entries)
    for info in state.clusters():
        members: list[Member] = []
        page = state.members(info.cluster_id, limit=limit)
        while page.after is not None:
            assert len(page.members) == limit
            members += page.members
            page = state.members(info.cluster_id, after=page.after, limit=limit)
        assert (*members, *page.members) == state.members(info.cluster_id).members


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


def merged(*steps: tuple[str, str, str]) -> ClusterState:
    """Clusters a, b, c and d of two members each, then these steps."""
    places = [("place", image_id, image_id[0]) for name in "abcd" for image_id in (name, f"{name}2")]
    return ClusterState(entries_of([*places, *steps]))


def walk(state: ClusterState, cluster_id: str) -> list[str]:
    return [member.image_id for member in state.members(ClusterId(cluster_id)).members]


def test_a_merge_reads_the_merged_first_and_new_members_last() -> None:
    state = merged(("merge", "b", "a"), ("merge", "c", "a"), ("place", "x", "b2"))
    assert walk(state, "a") == walk(state, "c") == ["b", "b2", "c", "c2", "a", "a2", "x"]
    placement = state.placement(ImageId("b2"))
    assert placement is not None
    assert (placement.cluster_id, placement.segment, placement.head) == ("a", "b", "a")


def test_a_merge_of_merged_clusters_can_be_taken_back_at_any_level() -> None:
    state = merged(("merge", "d", "c"), ("merge", "c", "b"), ("merge", "b", "a"), ("place", "x", "d"))
    assert walk(state, "d") == ["d", "d2", "c", "c2", "b", "b2", "a", "a2", "x"]
    taken = merged(
        ("merge", "d", "c"), ("merge", "c", "b"), ("merge", "b", "a"), ("place", "x", "d"), ("unmerge", "c", "")
    )
    assert walk(taken, "d") == ["d", "d2", "c", "c2"]
    assert walk(taken, "a") == ["b", "b2", "a", "a2", "x"]
    assert [segment.cluster_id for segment in taken.segments(ClusterId("b"))] == ["b", "a"]


@given(LEDGERS, st.sampled_from("abcdef"), st.sampled_from("abcdef"))
def test_unmerging_gives_the_clusters_from_before_the_merge(entries: list[Entry], one: str, other: str) -> None:
    before = ClusterState(entries)
    source, target = before.placement(ImageId(one)), before.placement(ImageId(other))
    if source is None or target is None or source.cluster_id == target.cluster_id:
        return
    state, info = ClusterState(entries), before.cluster(source.cluster_id)
    assert info is not None
    merge = ClusterMerged(
        **_said(state.seq + 1),
        cluster_id=source.cluster_id,
        into=target.cluster_id,
        head=target.head,
        segments=(*info.merged, source.cluster_id),
    )
    state.apply(merge)
    state.apply(
        ClusterUnmerged(
            **_said(state.seq + 1),
            cluster_id=source.cluster_id,
            out_of=target.cluster_id,
            head=info.head,
            segments=merge.segments,
        )
    )
    assert list(state.placements()) == list(before.placements())
    assert list(state.clusters()) == list(before.clusters())
    for cluster in before.clusters():
        assert state.segments(cluster.cluster_id) == before.segments(cluster.cluster_id)
        assert state.members(cluster.cluster_id) == before.members(cluster.cluster_id)


def test_a_walk_goes_on_over_a_merge() -> None:
    """Of the cluster that is merged: its members, each once, then those of the other. Of the other one: its own."""
    state = merged(("place", "x", "b"))
    page, other = state.members(ClusterId("b"), limit=1), state.members(ClusterId("a"), limit=1)
    state = merged(("place", "x", "b"), ("merge", "b", "a"), ("place", "y", "a"))
    assert [m.image_id for m in state.members(ClusterId("b"), after=page.after).members] == ["b2", "x", "a", "a2", "y"]
    assert [m.image_id for m in state.members(ClusterId("a"), after=other.after).members] == ["a2", "y"]


@pytest.mark.parametrize(
    "cursor", ["", "7", "7-", "-1-0123456789ab", "7-0123456789AB", "٣-0123456789ab", "7-0123456789ab"]
)
def test_a_cursor_of_nothing_is_said_so(cursor: str) -> None:
    with pytest.raises(InvalidCursorError, match="after: "):
        merged().members(ClusterId("a"), after=cursor)


def test_a_cursor_of_a_part_that_was_taken_away_is_said_so() -> None:
    page = merged(("merge", "b", "a")).members(ClusterId("a"), limit=1)
    state = merged(("merge", "b", "a"), ("unmerge", "b", ""))
    with pytest.raises(InvalidCursorError, match="begin again"):
        state.members(ClusterId("a"), after=page.after)


def _said(seq: int) -> dict[str, Any]:
    return {"seq": seq, "actor": "somebody", "proposal_offset": seq, "at_ms": seq}
