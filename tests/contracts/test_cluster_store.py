"""The port ClusterStore, in memory and on JanusGraph."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from threading import Barrier
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from graph.schema import drop_namespace, setup_schema
from neardup.clusters import ClusterState
from neardup.entries import Decision, Entry
from neardup.errors import ClusterConflictError, InvalidCursorError
from neardup.ports import ClusterStore
from neardup.settings import JanusGraphSettings
from neardup.testing import STEPS, InMemoryClusterStore, entries_of, make_decision, position_of
from neardup.types import ClusterId, ImageId, Member, Position, Whereabouts

STEP = st.tuples(st.sampled_from([*["place"] * 5, *STEPS]), st.sampled_from("abcdef"), st.sampled_from("abcdef"))


class NewStore(Protocol):
    """Makes an empty store; all of one test are over the same namespace."""

    def __call__(self) -> ClusterStore: ...


@pytest.fixture(scope="module", params=["memory", pytest.param("janusgraph", marks=pytest.mark.integration)])
def new_store(request: pytest.FixtureRequest) -> Iterator[NewStore]:
    if request.param == "memory":
        yield InMemoryClusterStore
        return
    names = GraphNames("contractstore")
    with ExitStack() as stack:
        url = request.getfixturevalue("engines").janusgraph_url
        gremlin = stack.enter_context(Gremlin(JanusGraphSettings(timeout_seconds=30), url))
        setup_schema(gremlin, names)

        def empty() -> ClusterStore:
            drop_namespace(gremlin, names)
            return JanusGraphClusterStore(gremlin, names)

        yield empty
        drop_namespace(gremlin, names)


@pytest.fixture
def store(new_store: NewStore) -> ClusterStore:
    return new_store()


def apply(store: ClusterStore, *entries: Entry) -> None:
    store.apply(entries, upto=position_of(entries[-1]))


def assert_equals_fold(store: ClusterStore, entries: Sequence[Entry]) -> None:
    state = ClusterState(entries)
    expected = {placement.image_id: placement for placement in state.placements()}
    assert store.placements([*expected, ImageId("never decided")]) == expected
    assert sorted(store.placements_all(), key=lambda found: found.image_id) == sorted(
        expected.values(), key=lambda found: found.image_id
    )
    every = sorted({entry.cluster_id for entry in entries if isinstance(entry, Decision)})
    clusters = {cluster_id: info for cluster_id in every if (info := state.cluster(cluster_id))}
    assert store.clusters([*every, ClusterId("unknown")]) == clusters
    whereabouts = store.whereabouts([*expected, ImageId("never decided")])
    assert (whereabouts.position, whereabouts.placements) == (store.position(), expected)
    assert whereabouts.clusters == {info.cluster_id: info for info in clusters.values()}
    for cluster_id in every:
        members, page = list[Member](), store.members(cluster_id, limit=2)
        while page.after is not None:
            members += page.members
            page = store.members(cluster_id, after=page.after, limit=2)
        assert (*members, *page.members) == state.members(cluster_id).members
        assert store.segments(cluster_id) == state.segments(cluster_id)


def test_empty(store: ClusterStore) -> None:
    assert store.position() == Position()
    assert store.placements([ImageId("a")]) == {}
    assert store.placements([]) == {}
    nothing = Whereabouts(position=Position(), placements={}, clusters={})
    assert store.whereabouts([]) == store.whereabouts([ImageId("a")]) == nothing
    assert store.clusters([ClusterId("a")]) == {}
    assert store.members(ClusterId("a")).members == ()
    assert store.members(ClusterId("a")).after is None
    assert list(store.placements_all()) == []


def test_position_is_that_of_the_last_decision(store: ClusterStore) -> None:
    decision = make_decision(1, "a", "a")
    upto = Position(seq=1, ledger_offset=2**40, proposal_offset=2**41)
    store.apply([decision], upto=upto)
    assert store.position() == upto


def test_nothing_to_apply_changes_nothing(store: ClusterStore) -> None:
    apply(store, make_decision(1, "a", "a"))
    store.apply([], upto=Position(seq=9))
    assert store.position().seq == 1


@pytest.mark.parametrize("seq", [1, 2, 4])
def test_only_the_next_seq_is_accepted(store: ClusterStore, seq: int) -> None:
    apply(store, make_decision(1, "a", "a"), make_decision(2, "b", "a"))
    with pytest.raises(ClusterConflictError, match=f"seq {seq}"):
        apply(store, make_decision(seq, "c", "a"))
    assert store.position().seq == 2
    assert store.placements([ImageId("c")]) == {}


def test_a_gap_or_a_wrong_position_is_a_mistake(store: ClusterStore) -> None:
    first, third = make_decision(1, "a", "a"), make_decision(3, "b", "a")
    with pytest.raises(ValueError, match="seq 3 follows 1"):
        store.apply([first, third], upto=position_of(third))
    with pytest.raises(ValueError, match="upto"):
        store.apply([first], upto=Position(seq=2))
    assert store.position() == Position()


def test_all_or_none(store: ClusterStore) -> None:
    apply(store, make_decision(1, "a", "a"), make_decision(2, "b", "a"))
    with pytest.raises(ClusterConflictError, match="'a' is the head"):
        apply(store, make_decision(3, "c", "a"), make_decision(4, "a", "d", head=ImageId("a")))
    assert store.position().seq == 2
    assert store.placements([ImageId("c")]) == {}
    info = store.clusters([ClusterId("a")])[ClusterId("a")]
    assert (info.size, info.head) == (2, "a")
    apply(store, make_decision(3, "c", "a"))
    assert store.clusters([ClusterId("a")])[ClusterId("a")].size == 3


def test_a_new_version_in_its_cluster_keeps_its_place_on_the_page(store: ClusterStore) -> None:
    decisions = [make_decision(1, "a", "a"), make_decision(2, "b", "a"), make_decision(3, "c", "a")]
    again = make_decision(4, "b", "a", version=2, run=7)
    apply(store, *decisions, again)
    placement = store.placements([ImageId("b")])[ImageId("b")]
    assert (placement.version, placement.run, placement.seq) == (2, 7, 4)
    assert [(member.image_id, member.seq) for member in store.members(ClusterId("a")).members] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]
    assert_equals_fold(store, [*decisions, again])


def test_a_decision_can_name_another_head(store: ClusterStore) -> None:
    decisions = [make_decision(1, "a", "a"), make_decision(2, "b", "a", head=ImageId("b"))]
    apply(store, *decisions)
    assert store.placements([ImageId("a")])[ImageId("a")].head == "b"
    assert_equals_fold(store, decisions)


def test_an_emptied_cluster_is_gone_and_can_be_made_again(store: ClusterStore) -> None:
    decisions = [make_decision(1, "a", "a"), make_decision(2, "b", "b"), make_decision(3, "b", "a")]
    apply(store, *decisions)
    assert store.clusters([ClusterId("b")]) == {}
    back = make_decision(4, "b", "b", version=2)
    apply(store, back)
    assert store.clusters([ClusterId("b")])[ClusterId("b")].since == 4
    assert_equals_fold(store, [*decisions, back])


@pytest.mark.parametrize("name", ["a/b c.jpg", "ü" * 256, "{x}|$y'\"\\", "\U0001f4f7", " "])
def test_any_text_is_an_id(store: ClusterStore, name: str) -> None:
    decisions = [make_decision(1, name, name), make_decision(2, name + "2", name)]
    apply(store, *decisions)
    assert_equals_fold(store, decisions)


def test_pages_of_a_large_cluster(store: ClusterStore) -> None:
    decisions = [make_decision(seq, f"image {seq}", "image 1") for seq in range(1, 1302)]
    for start in range(0, len(decisions), 400):
        apply(store, *decisions[start : start + 400])
    page = store.members(ClusterId("image 1"), limit=100)
    members, pages = [member.image_id for member in page.members], 1
    while page.after is not None:
        page = store.members(ClusterId("image 1"), after=page.after, limit=100)
        members += [member.image_id for member in page.members]
        pages += 1
    assert members == [decision.image_id for decision in decisions]
    assert pages == 14
    assert len(list(store.placements_all())) == 1301


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEP, max_size=40), batch=st.integers(1, 9))
def test_any_ledger_gives_what_the_fold_gives(
    new_store: NewStore, steps: list[tuple[str, str, str]], batch: int
) -> None:
    store = new_store()
    entries = entries_of(steps)
    for start in range(0, len(entries), batch):
        apply(store, *entries[start : start + batch])
    assert store.position().seq == len(entries)
    assert_equals_fold(store, entries)


def two_merged(*steps: tuple[str, str, str]) -> list[Entry]:
    """Cluster b of three images is merged into cluster a of two, then these steps."""
    places = [("place", name, name[0]) for name in ("a", "a2", "b", "b2", "b3")]
    return entries_of([*places, ("merge", "b", "a"), *steps])


def test_a_merged_cluster_is_read_through_its_root(store: ClusterStore) -> None:
    apply(store, *two_merged(("place", "x", "b")))
    info = store.clusters([ClusterId("b")])[ClusterId("b")]
    assert (info.cluster_id, info.head, info.size, info.merged) == ("a", "a", 6, ("b",))
    placement = store.placements([ImageId("b2")])[ImageId("b2")]
    assert (placement.cluster_id, placement.segment, placement.head) == ("a", "b", "a")
    for cluster_id in (ClusterId("a"), ClusterId("b")):
        members = [member.image_id for member in store.members(cluster_id).members]
        assert members == ["b", "b2", "b3", "a", "a2", "x"]


def test_a_merge_is_taken_back(store: ClusterStore) -> None:
    entries = two_merged(("place", "x", "b"), ("unmerge", "b", ""))
    apply(store, *entries)
    assert [member.image_id for member in store.members(ClusterId("b")).members] == ["b", "b2", "b3"]
    assert [member.image_id for member in store.members(ClusterId("a")).members] == ["a", "a2", "x"]
    assert_equals_fold(store, entries)


def test_an_erased_image_is_gone_and_its_cluster_goes_on(store: ClusterStore) -> None:
    entries = two_merged(("erase", "a", ""), ("erase", "a2", ""))
    apply(store, *entries)
    assert store.placements([ImageId("a"), ImageId("a2")]) == {}
    info = store.clusters([ClusterId("a")])[ClusterId("a")]
    assert (info.size, info.head) == (3, "b")
    assert_equals_fold(store, entries)


def test_the_last_member_takes_a_merged_cluster_with_it(store: ClusterStore) -> None:
    entries = two_merged(*(("erase", name, "") for name in ("a", "a2", "b", "b2", "b3")), ("place", "b", "b"))
    apply(store, *entries[:-1])
    assert store.clusters([ClusterId("a"), ClusterId("b")]) == {}
    assert store.segments(ClusterId("a")) == ()
    apply(store, entries[-1])
    assert_equals_fold(store, entries)


@pytest.mark.parametrize("step", [("merge", "c", "a"), ("unmerge", "b", "")])
def test_a_change_of_what_is_not_there_changes_nothing(store: ClusterStore, step: tuple[str, str, str]) -> None:
    entries = two_merged(("place", "c", "c"), step)
    apply(store, *entries[:4])
    with pytest.raises(ClusterConflictError):
        apply(store, replace(entries[-1], seq=5))
    assert store.position().seq == 4
    assert_equals_fold(store, entries[:4])


def test_a_cursor_of_a_part_that_was_taken_away_is_said_so(store: ClusterStore) -> None:
    entries = two_merged(("unmerge", "b", ""))
    apply(store, *entries[:-1])
    page = store.members(ClusterId("a"), limit=1)
    apply(store, entries[-1])
    with pytest.raises(InvalidCursorError, match="begin again"):
        store.members(ClusterId("a"), after=page.after)
    with pytest.raises(InvalidCursorError, match="is not a cursor"):
        store.members(ClusterId("a"), after="7")
    rest = store.members(ClusterId("b"), after=page.after).members
    assert [member.image_id for member in rest] == ["b2", "b3"]


def test_a_merge_of_large_clusters_is_one_step(store: ClusterStore) -> None:
    """Nobody is moved: the pages of both go on behind each other."""
    entries = entries_of(
        [("place", f"{name} {number:04}", f"{name} 0000") for name in "ab" for number in range(600)]
        + [("merge", "b 0007", "a 0007")]
    )
    for start in range(0, 1200, 400):
        apply(store, *entries[start : start + 400])
    apply(store, entries[-1])
    members, page = list[str](), store.members(ClusterId("a 0000"), limit=250)
    while page.after is not None:
        members += [member.image_id for member in page.members]
        page = store.members(ClusterId("a 0000"), after=page.after, limit=250)
    members += [member.image_id for member in page.members]
    assert members == [f"{name} {number:04}" for name in "ba" for number in range(600)]


def test_of_two_writers_of_the_same_seqs_one_wins(store: ClusterStore) -> None:
    """Two projectors over one namespace: each batch is applied once, whoever comes first."""
    batches = [
        [make_decision(seq, f"image {seq}", "image 1") for seq in range(start, start + 5)] for start in range(1, 101, 5)
    ]

    def run(_: int) -> int:
        applied = 0
        for batch in batches:
            try:
                apply(store, *(replace(decision) for decision in batch))
                applied += 1
            except ClusterConflictError:
                while store.position().seq < batch[-1].seq:
                    pass
        return applied

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(run, range(2))) == len(batches)
    assert_equals_fold(store, [decision for batch in batches for decision in batch])


def test_of_two_first_writers_one_wins(new_store: NewStore) -> None:
    """Before the first decision there is no position that a transaction could lock."""
    decisions = [make_decision(seq, f"image {seq}", "image 1") for seq in range(1, 4)]
    for _ in range(40):
        store = new_store()
        together = Barrier(2)

        def wins(_: int, store: ClusterStore = store, together: Barrier = together) -> bool:
            together.wait()
            try:
                apply(store, *decisions)
            except ClusterConflictError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(wins, range(2))) == 1
