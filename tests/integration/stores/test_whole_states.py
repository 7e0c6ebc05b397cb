"""Large clusters are merged, parted, given another head and lose it while others read: nobody sees half of that."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from graph.redis_cache import RedisHeadCache
from graph.schema import drop_namespace, setup_schema
from neardup.clusters import ClusterState
from neardup.entries import ClusterMerged, ClusterUnmerged, Entry, HeadChanged, ImageErased
from neardup.errors import ClusterStoreUnavailableError
from neardup.ports import ClusterStore, HeadCache
from neardup.redis import connect
from neardup.settings import JanusGraphSettings, RedisSettings
from neardup.testing import make_decision, position_of
from neardup.types import ClusterId, ImageId

pytestmark = pytest.mark.integration

NAMESPACE = "storeswhole"
MEMBERS = 5_000
BATCH = 1_000
ROUNDS = 3
PAUSE_SECONDS = 0.02
A, B = ClusterId("a 0"), ClusterId("b 0")
SOME = [ImageId(f"{name} {number}") for name in "ab" for number in (*range(16), MEMBERS // 2, MEMBERS - 1)]
SAID: dict[str, Any] = {"actor": "somebody", "command_id": "c", "proposal_offset": 0, "at_ms": 0}

Read = Callable[[ClusterStore, HeadCache], Any]
READS: dict[str, Read] = {
    "placements": lambda store, _: store.placements(SOME),
    "clusters": lambda store, _: store.clusters([A, B]),
    "parts": lambda store, _: store.segments(A),
    "all members": lambda store, _: store.members(A, limit=2 * MEMBERS).members,
    "newest members": lambda store, _: store.members(B, limit=200, order="newest").members,
    "cache": lambda _, cache: cache.placements(SOME),
}


class Ledger:
    """What is applied, and what readers may see: from what was applied when they began to what was begun at their
    end."""

    def __init__(self, store: ClusterStore, readers: ClusterStore, cache: HeadCache) -> None:
        self._store = store
        self.store = readers
        self.cache = cache
        self.state = ClusterState()
        self.begun = self.done = 0
        self.answers: dict[int, dict[str, Any]] = {}

    def load(self) -> None:
        for name in "ab":
            seq = self.state.seq
            for start in range(0, MEMBERS, BATCH):
                entries = [
                    make_decision(seq + number + 1, f"{name} {number}", f"{name} 0")
                    for number in range(start, start + BATCH)
                ]
                self._apply(entries)
        self.begun = self.done = self.state.seq
        self.answers[self.done] = self._expected()

    def append(self, kind: Callable[..., Entry], **fields: Any) -> None:
        entry = kind(seq=self.state.seq + 1, **SAID, **fields)
        self.state.apply(entry)
        self.answers[entry.seq] = self._expected()
        self.begun = entry.seq
        self._project([entry])
        self.done = entry.seq

    def _apply(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.state.apply(entry)
        self._project(entries)

    def _project(self, entries: Sequence[Entry]) -> None:
        upto = position_of(entries[-1])
        while self._store.position() != upto:
            # As the projector does: a transaction that readers were in the way of is tried again.
            with suppress(ClusterStoreUnavailableError):
                self._store.apply(entries, upto=upto)
        self.cache.apply(entries, upto=upto)

    def _expected(self) -> dict[str, Any]:
        found = {image_id: self.state.placement(image_id) for image_id in SOME}
        placements = {image_id: placement for image_id, placement in found.items() if placement is not None}
        return {
            "placements": placements,
            "cache": placements,
            "clusters": {cluster_id: self.state.cluster(cluster_id) for cluster_id in (A, B)},
            "parts": self.state.segments(A),
            "all members": self.state.members(A).members,
            "newest members": self.state.members(B, limit=200, order="newest").members,
        }


@pytest.fixture
def ledger(engines: Any) -> Iterator[Ledger]:
    names = GraphNames(NAMESPACE)
    with ExitStack() as stack:
        settings = JanusGraphSettings(timeout_seconds=30)
        gremlin, readers = (stack.enter_context(Gremlin(settings, engines.janusgraph_url)) for _ in range(2))
        setup_schema(gremlin, names)
        drop_namespace(gremlin, names)
        stack.callback(drop_namespace, gremlin, names)
        client = connect(RedisSettings(timeout_seconds=5), engines.redis_url)
        stack.callback(client.close)
        cache = RedisHeadCache(client, NAMESPACE, ttl_seconds=600)
        cache.clear()
        stack.callback(cache.clear)
        yield Ledger(JanusGraphClusterStore(gremlin, names), JanusGraphClusterStore(readers, names), cache)


def test_readers_see_all_of_a_change_or_nothing_and_at_once(ledger: Ledger) -> None:
    ledger.load()
    over = threading.Event()
    during = dict.fromkeys(READS, 0)
    failures: list[str] = []

    def follow(what: str) -> None:
        last = ledger.done
        while not over.wait(PAUSE_SECONDS):
            since = max(last, ledger.done)
            try:
                seen = READS[what](ledger.store, ledger.cache)
            except ClusterStoreUnavailableError:
                continue  # a refusal is not half an answer
            until = ledger.begun
            fits = [seq for seq in range(since, until + 1) if ledger.answers[seq][what] == seen]
            if not fits:
                failures.append(f"{what}: not what there was at any seq from {since} to {until}")
                return
            # Of several that look the same it may have been the first.
            last = fits[0]
            during[what] += since < until

    readers = [threading.Thread(target=follow, args=(what,)) for what in READS]
    for reader in readers:
        reader.start()
    try:
        for _ in range(ROUNDS):
            change_everything(ledger)
            if failures:
                break
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert failures == []
    # Every kind of read met changes under way.
    assert all(during.values()), during


def change_everything(ledger: Ledger) -> None:
    """Merged, another head, without it, parted: each cluster is itself again, but for one member."""
    state = ledger.state
    first, second = (info.head for info in (state.cluster(A), state.cluster(B)) if info is not None)
    ledger.append(ClusterMerged, cluster_id=A, into=B, head=second, segments=(A,))
    promoted = next(m.image_id for m in state.members(B).members[10:] if m.image_id not in {first, second})
    ledger.append(HeadChanged, cluster_id=B, head=promoted, previous_head=second)
    placement = state.placement(promoted)
    assert placement is not None
    ledger.append(ImageErased, image_id=promoted, cluster_id=B, head=second, previous_seq=placement.seq)
    ledger.append(ClusterUnmerged, cluster_id=A, out_of=B, head=first, segments=(A,))
