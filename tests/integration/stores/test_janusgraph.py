"""JanusGraph when things go wrong, and its schema."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from gremlin_python.driver.client import Client
from janusgraph_python.driver.serializer import JanusGraphBinarySerializersV1

from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from graph.schema import drop_namespace, setup_schema
from neardup.errors import ClusterStoreUnavailableError, ConfigError
from neardup.settings import JanusGraphSettings
from neardup.testing import make_decision, position_of
from neardup.types import ClusterId, ImageId, Position

pytestmark = pytest.mark.integration

NAMES = GraphNames("storesgraph")


@pytest.fixture
def url(engines: Any) -> str:
    return str(engines.janusgraph_url)


@pytest.fixture
def gremlin(url: str) -> Iterator[Gremlin]:
    with Gremlin(JanusGraphSettings(timeout_seconds=30), url) as gremlin:
        setup_schema(gremlin, NAMES)
        drop_namespace(gremlin, NAMES)
        yield gremlin
        drop_namespace(gremlin, NAMES)


def test_no_server(closed_port: int) -> None:
    with Gremlin(JanusGraphSettings(), f"ws://127.0.0.1:{closed_port}/gremlin") as gremlin:
        store = JanusGraphClusterStore(gremlin, NAMES)
        for _ in range(5):
            with pytest.raises(ClusterStoreUnavailableError, match=str(closed_port)):
                store.position()
        decision = make_decision(1, "a", "a")
        with pytest.raises(ClusterStoreUnavailableError):
            store.apply([decision], upto=position_of(decision))


def test_a_broken_connection_is_opened_again(url: str, gremlin: Gremlin, relay_to: Callable[[int], Any]) -> None:
    relay = relay_to(urlsplit(url).port or 0)
    with Gremlin(JanusGraphSettings(timeout_seconds=5), f"ws://127.0.0.1:{relay.port}/gremlin") as broken:
        store = JanusGraphClusterStore(broken, NAMES)
        decision = make_decision(1, "a", "a")
        store.apply([decision], upto=position_of(decision))
        relay.cut()
        # Replaced at once where the driver knows that it was closed, else by the request after the one that found out.
        with suppress(ClusterStoreUnavailableError):
            store.position()
        assert store.position().seq == 1


def test_a_server_that_hangs_is_given_up(url: str, gremlin: Gremlin, relay_to: Callable[[int], Any]) -> None:
    relay = relay_to(urlsplit(url).port or 0)
    with Gremlin(JanusGraphSettings(timeout_seconds=0.5), f"ws://127.0.0.1:{relay.port}/gremlin") as slow:
        store = JanusGraphClusterStore(slow, NAMES)
        assert store.position() == Position()
        relay.hold()
        for _ in range(2):  # an open connection, then a new one
            started = time.monotonic()
            with pytest.raises(ClusterStoreUnavailableError):
                store.position()
            assert time.monotonic() - started < 4
        relay.cut()
        assert store.position() == Position()


def test_a_missing_schema_is_the_operators_to_mend(gremlin: Gremlin) -> None:
    store = JanusGraphClusterStore(gremlin, GraphNames("neverset"))
    decision = make_decision(1, "a", "a")
    with pytest.raises(ConfigError, match="neardup setup"):
        store.apply([decision], upto=position_of(decision))
    assert store.position() == Position()


def test_setup_twice_changes_nothing(gremlin: Gremlin) -> None:
    assert setup_schema(gremlin, NAMES) == []
    planned = setup_schema(gremlin, GraphNames("neverset"), dry_run=True)
    assert planned == [
        "vertex label neverset_image",
        "vertex label neverset_cluster",
        "vertex label neverset_projection",
        "edge label neverset_member with indexes neverset_member_by_seq_asc, neverset_member_by_seq_desc",
    ]
    assert setup_schema(gremlin, GraphNames("neverset"), dry_run=True) == planned


def test_an_edge_label_without_an_index_of_the_other_direction_is_refused(url: str, gremlin: Gremlin) -> None:
    """JanusGraph would answer pages of that direction wrongly, without a word."""
    old = """
        def mgmt = graph.openManagement()
        if (!mgmt.containsEdgeLabel(member_label)) {
            def member = mgmt.makeEdgeLabel(member_label).multiplicity(org.janusgraph.core.Multiplicity.MANY2ONE).make()
            mgmt.buildEdgeIndex(member, "${member_label}_by_seq_asc".toString(), Direction.IN, Order.asc,
                                mgmt.getPropertyKey('seq'))
        }
        mgmt.commit()
        []
    """
    setup_schema(gremlin, NAMES)
    client = Client(url, "g", message_serializer=JanusGraphBinarySerializersV1())
    client.submit(old, {"member_label": GraphNames("outdated").member}).all().result()
    client.close()
    with pytest.raises(ConfigError, match="outdated_member lacks an index that pages need: an older version made it"):
        setup_schema(gremlin, GraphNames("outdated"))


def test_namespaces_share_nothing(gremlin: Gremlin) -> None:
    other_names = GraphNames("storesother")
    setup_schema(gremlin, other_names)
    drop_namespace(gremlin, other_names)
    store, other = JanusGraphClusterStore(gremlin, NAMES), JanusGraphClusterStore(gremlin, other_names)
    ours, theirs = make_decision(1, "a", "a"), make_decision(1, "a", "b", head=ImageId("b"))
    store.apply([ours], upto=position_of(ours))
    other.apply([theirs], upto=position_of(theirs))
    assert store.placements([ImageId("a")])[ImageId("a")].cluster_id == "a"
    assert other.placements([ImageId("a")])[ImageId("a")].cluster_id == "b"
    drop_namespace(gremlin, other_names)
    assert other.placements([ImageId("a")]) == {}
    assert other.clusters([ClusterId("b")]) == {}
    assert other.position() == Position()
    assert store.position().seq == 1


def test_pages_and_walks_go_on_while_decisions_come_in(gremlin: Gremlin) -> None:
    store = JanusGraphClusterStore(gremlin, NAMES)
    batches = [
        [make_decision(seq, f"image {seq}", "image 1") for seq in range(start, start + 20)]
        for start in range(1, 1001, 20)
    ]
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                page = store.members(ClusterId("image 1"), limit=1000)
                assert [member.seq for member in page.members] == list(range(1, len(page.members) + 1))
                seen = [placement.image_id for placement in store.placements_all()]
                assert len(seen) == len(set(seen))
        except BaseException as exc:  # noqa: BLE001 - shown by the assertion below
            failures.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for batch in batches:
            store.apply(batch, upto=position_of(batch[-1]))
    finally:
        done.set()
        reader.join()
    assert failures == []
    assert len(list(store.placements_all())) == 1000


def test_all_connections_are_closed(url: str) -> None:
    gremlin = Gremlin(JanusGraphSettings(timeout_seconds=30), url)
    store = JanusGraphClusterStore(gremlin, NAMES)
    together = threading.Barrier(3)

    def ask() -> None:
        together.wait()
        for _ in range(20):
            store.position()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = [client for client in gremlin._idle.queue if client is not None]
    assert len(opened) > 1
    gremlin.close()
    assert [client._closed for client in opened] == [True] * len(opened)
    assert store.position() == Position()
    gremlin.close()
