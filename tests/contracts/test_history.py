"""The port History, in memory and on OpenSearch."""

from collections.abc import Iterator
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.opensearch_history import OpenSearchHistory
from neardup.clusters import ClusterState
from neardup.entries import Entry, clusters_of, images_of
from neardup.errors import ClusterConflictError, HistoryBehindError, InvalidCursorError
from neardup.ports import History
from neardup.settings import OpenSearchSettings, Settings
from neardup.testing import STEPS, InMemoryHistory, entries_of, ledger_of, make_decision, position_of
from neardup.types import ClusterId, ImageId, Member, MemberOrder, PastCluster, Position
from opensearch_templates.connection import connect
from opensearch_templates.names import LedgerIndexNames
from opensearch_templates.setup import drop_namespace, setup_index

NAMES = "abcdef"
LEDGERS = st.lists(
    st.tuples(st.sampled_from([*STEPS, "place", "place", "merge"]), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    min_size=1,
    max_size=40,
).map(entries_of)


class NewHistory(Protocol):
    """Makes an empty history; all of one test are over the same namespace."""

    def __call__(self) -> History: ...


@pytest.fixture(params=["memory", pytest.param("opensearch", marks=pytest.mark.integration)])
def new_history(request: pytest.FixtureRequest) -> Iterator[NewHistory]:
    if request.param == "memory":
        yield InMemoryHistory
        return
    namespace = "contracthistory"
    given = Settings(namespace=namespace, opensearch=OpenSearchSettings(timeout_seconds=30))
    client = connect(given.opensearch, request.getfixturevalue("engines").opensearch_url)

    def empty() -> History:
        client.indices.delete(index=LedgerIndexNames(namespace).index, ignore=404)
        setup_index(client, given, "v0")
        return OpenSearchHistory(client, LedgerIndexNames(namespace))

    drop_namespace(client, namespace)
    yield empty
    drop_namespace(client, namespace)
    client.close()


def apply(history: History, *entries: Entry) -> None:
    history.apply(entries, upto=position_of(entries[-1]))


def all_members(history: History, cluster_id: ClusterId, seq: int, limit: int, order: MemberOrder) -> list[Member]:
    members, after = list[Member](), None
    while True:
        page = history.members_at(cluster_id, seq=seq, after=after, limit=limit, order=order)
        members += page.members
        if page.after is None:
            return members
        assert len(page.members) == limit
        after = page.after


def assert_equals_fold(history: History, entries: list[Entry], seq: int) -> None:
    """What is read as of `seq` is the ledger folded up to there."""
    state = ClusterState(entries[:seq])
    expected = {placement.image_id: placement for placement in state.placements()}
    ids = {image_id for entry in entries for image_id in images_of(entry)}
    assert history.placements_at([*ids, ImageId("unknown")], seq=seq) == expected
    for info in state.clusters():
        past = PastCluster(cluster_id=info.cluster_id, head=info.head, size=info.size, seq=seq)
        assert history.cluster_at(info.cluster_id, seq=seq) == past
        orders: tuple[MemberOrder, ...] = ("oldest", "newest")
        for part in (*info.merged, info.cluster_id):
            for order in orders:
                members = list(state.members(info.cluster_id, order=order).members)
                assert all_members(history, part, seq, limit=2, order=order) == members
    assert history.cluster_at(ClusterId("unknown"), seq=seq) is None
    assert history.members_at(ClusterId("unknown"), seq=seq).members == ()


def test_empty(new_history: NewHistory) -> None:
    history = new_history()
    assert history.position() == Position()
    assert history.entries(["a"]) == ()
    assert history.following([ClusterId("a")], after=0) == ()
    assert history.last_seq_at(2**40) == 0
    assert history.placements_at([ImageId("a")], seq=0) == {}


@pytest.mark.parametrize("seq", [1, 2, 4])
def test_only_the_next_seq_is_accepted(new_history: NewHistory, seq: int) -> None:
    history = new_history()
    apply(history, make_decision(1, "a", "a"), make_decision(2, "b", "a"))
    with pytest.raises(ClusterConflictError, match=f"seq {seq}"):
        apply(history, make_decision(seq, "c", "a"))
    assert history.position().seq == 2


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=LEDGERS, batch=st.integers(1, 9), data=st.data())
def test_any_past_is_the_fold_up_to_there(
    new_history: NewHistory, entries: list[Entry], batch: int, data: st.DataObject
) -> None:
    if not entries:
        return
    history = new_history()
    for start in range(0, len(entries), batch):
        apply(history, *entries[start : start + batch])
    assert history.position() == position_of(entries[-1])
    for seq in {data.draw(st.integers(0, len(entries)), label="seq") for _ in range(3)} | {len(entries)}:
        assert_equals_fold(history, entries, seq)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=LEDGERS)
def test_entries_are_found_by_whom_they_name(new_history: NewHistory, entries: list[Entry]) -> None:
    if not entries:
        return
    history = new_history()
    apply(history, *entries)
    for name in NAMES:
        naming = [entry for entry in entries if name in {*images_of(entry), *clusters_of(entry)}]
        assert history.entries([name]) == tuple(reversed(naming))
        newest = history.entries([name], limit=2)
        if newest:
            rest = history.entries([name], before=newest[-1].seq)
            assert (*newest, *rest) == tuple(reversed(naming))
        about = tuple(entry for entry in entries if name in clusters_of(entry))
        assert history.following([ClusterId(name)], after=0) == about
        assert history.following([ClusterId(name)], after=3, limit=1) == tuple(e for e in about if e.seq > 3)[:1]


def test_a_moment_is_the_beginning_in_which_nothing_is_later(new_history: NewHistory) -> None:
    """The third was proposed early and decided late; the fourth is the first that was made after the moment."""
    history = new_history()
    times = [100, 300, 200, 400, 350]
    apply(history, *(make_decision(seq, f"i{seq}", "i1", at_ms=at) for seq, at in enumerate(times, start=1)))
    assert [history.last_seq_at(moment) for moment in (50, 100, 250, 300, 399, 400)] == [0, 1, 1, 3, 3, 5]


def test_growth_counts_who_joined_since(new_history: NewHistory) -> None:
    history = new_history()
    entries = ledger_of([("a", "a"), ("b", "b"), ("c", "a"), ("c", "b"), ("d", "b"), ("b", "b")])
    apply(history, *entries)
    since = entries[2].at_ms
    assert history.growth(since) == {"b": 2, "a": 1}
    assert history.growth(since, limit=1) == {"b": 2}
    assert history.growth(entries[-1].at_ms) == {}


def test_the_future_is_not_answered(new_history: NewHistory) -> None:
    history = new_history()
    apply(history, make_decision(1, "a", "a"))
    for ask in (
        lambda: history.placements_at([ImageId("a")], seq=2),
        lambda: history.cluster_at(ClusterId("a"), seq=2),
        lambda: history.members_at(ClusterId("a"), seq=2),
    ):
        with pytest.raises(HistoryBehindError, match="seq 1, not yet 2"):
            ask()


def test_a_cursor_of_another_cluster_is_refused(new_history: NewHistory) -> None:
    history = new_history()
    apply(history, *ledger_of([("a", "a"), ("b", "a"), ("c", "c"), ("d", "c")]))
    cursor = history.members_at(ClusterId("a"), seq=4, limit=1).after
    assert cursor is not None
    with pytest.raises(InvalidCursorError):
        history.members_at(ClusterId("c"), seq=4, after=cursor)


def test_applied_again_after_a_crash_it_is_the_same(new_history: NewHistory) -> None:
    """A projector that died before it recorded its position brings the same entries, in other batches."""
    history = new_history()
    entries = list(ledger_of([("a", "a"), ("b", "a"), ("b", "b"), ("b", "a"), ("b", "b"), ("b", "a")]))
    apply(history, *entries[:2])
    if isinstance(history, OpenSearchHistory):
        history.write(entries[2:])
    for start in (2, 3, 5):
        apply(history, *entries[start : {2: 3, 3: 5, 5: 6}[start]])
        for seq in range(start + 1):
            assert_equals_fold(history, list(entries), seq)
