"""Watching a cluster: told events, added up, are its members."""

from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.entries import Entry
from neardup.testing import STEPS, InMemoryHistory, entries_of, ledger_of, position_of
from neardup.types import ClusterId, ImageId
from query.watch import ClusterEvent, ClusterWatch

NAMES = "abcdef"
LEDGERS = st.lists(
    st.tuples(st.sampled_from([*STEPS, "place", "place", "merge"]), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    min_size=1,
    max_size=40,
).map(entries_of)


def add_up(members: set[ImageId], events: list[ClusterEvent]) -> set[ImageId]:
    members = set(members)
    for event in events:
        if event.kind == "joined":
            assert event.image_id not in members, f"{event} joined twice"
            members.add(event.image_id)
        elif event.kind in {"left", "erased"}:
            assert event.image_id in members, f"{event} was no member"
            members.remove(event.image_id)
    return members


def members_of(state: ClusterState, cluster_id: ClusterId) -> set[ImageId]:
    return {member.image_id for member in state.members(cluster_id).members}


@settings(max_examples=200, deadline=None)
@given(entries=LEDGERS, batch=st.integers(1, 7), data=st.data())
def test_events_added_up_are_the_members(entries: list[Entry], batch: int, data: st.DataObject) -> None:
    if not entries:
        return
    start = data.draw(st.integers(0, len(entries) - 1), label="start")
    state = ClusterState(entries[:start])
    history = InMemoryHistory()
    if start:
        history.apply(entries[:start], upto=position_of(entries[start - 1]))
    watches = {
        info.cluster_id: (
            ClusterWatch(history, info.cluster_id, root=info.cluster_id, after=start),
            members_of(state, info.cluster_id),
        )
        for info in state.clusters()
    }
    for at in range(start, len(entries), batch):
        some = entries[at : at + batch]
        history.apply(some, upto=position_of(some[-1]))
        for entry in some:
            state.apply(entry)
        for cluster_id, (watch, members) in watches.items():
            now = add_up(members, list(watch.poll()))
            watches[cluster_id] = watch, now
            assert now == members_of(state, watch.cluster_id)


@settings(max_examples=100, deadline=None)
@given(entries=LEDGERS)
def test_from_the_start_it_tells_the_whole_story(entries: list[Entry]) -> None:
    if not entries:
        return
    history = InMemoryHistory()
    history.apply(entries, upto=position_of(entries[-1]))
    state = ClusterState(entries)
    for info in state.clusters():
        watch = ClusterWatch.from_start(history, info.cluster_id)
        assert add_up(set(), list(watch.poll())) == members_of(state, watch.cluster_id)
        assert list(watch.poll()) == []


def test_what_an_event_says() -> None:
    entries = [*ledger_of([("a", "a"), ("b", "b"), ("c", "a"), ("c", "b")])]
    history = InMemoryHistory()
    history.apply(entries, upto=position_of(entries[-1]))
    events = ClusterWatch.from_start(history, ClusterId("a")).poll()
    told = [(event.kind, event.image_id, event.other, event.why, event.seq) for event in events]
    assert told == [
        ("joined", "a", None, "no-candidate", 1),
        ("joined", "c", None, "best-match", 3),
        ("left", "c", "b", "best-match", 4),
    ]
