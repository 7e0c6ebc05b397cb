"""The port ClusterStore: members from the newest, in memory and on JanusGraph."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.entries import Entry
from neardup.errors import InvalidCursorError
from neardup.ports import ClusterStore
from neardup.testing import STEPS, entries_of, make_decision
from neardup.types import ClusterId, Member, MemberOrder
from tests.contracts.test_cluster_store import NewStore, apply, new_store, store

__all__ = ["new_store", "store"]

LEDGERS = st.lists(
    st.tuples(st.sampled_from([*STEPS, "place", "merge"]), st.sampled_from("abcdef"), st.sampled_from("abcdef")),
    min_size=1,
    max_size=30,
).map(entries_of)


def walk(store: ClusterStore, cluster_id: ClusterId, order: MemberOrder, *, limit: int) -> Iterator[Member]:
    after = None
    while True:
        page = store.members(cluster_id, after=after, limit=limit, order=order)
        yield from page.members
        if page.after is None:
            return
        assert len(page.members) == limit
        after = page.after


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(entries=LEDGERS)
def test_the_newest_come_first_over_all_segments(new_store: NewStore, entries: list[Entry]) -> None:
    if not entries:
        return
    store = new_store()
    apply(store, *entries)
    state = ClusterState(entries)
    for info in state.clusters():
        expected = sorted(state.members(info.cluster_id).members, key=lambda member: -member.seq)
        for part in (*info.merged, info.cluster_id):
            assert list(walk(store, part, "newest", limit=2)) == expected
            assert list(state.members(part, order="newest").members) == expected


def test_a_walk_from_the_newest_is_not_disturbed_by_who_joins(store: ClusterStore) -> None:
    apply(store, *(make_decision(seq, f"image {seq}", "image 1") for seq in range(1, 251)))
    seen = []
    for member in walk(store, ClusterId("image 1"), "newest", limit=100):
        seen.append(member.seq)
        if len(seen) in {50, 150}:
            last = store.position().seq
            apply(store, make_decision(last + 1, f"image {last + 1}", "image 1"))
    assert seen == list(range(250, 0, -1))


def test_a_cursor_belongs_to_its_order(store: ClusterStore) -> None:
    apply(store, *(make_decision(seq, f"image {seq}", "image 1") for seq in range(1, 4)))
    orders: tuple[MemberOrder, MemberOrder] = ("oldest", "newest")
    for order, other in (orders, orders[::-1]):
        cursor = store.members(ClusterId("image 1"), limit=1, order=order).after
        with pytest.raises(InvalidCursorError, match="after"):
            store.members(ClusterId("image 1"), after=cursor, order=other)


def test_an_unknown_cluster_has_no_newest(store: ClusterStore) -> None:
    assert store.members(ClusterId("unknown"), order="newest").members == ()
