"""Everything people read must equal the ledger, folded again from its first entry."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from graph.kafka_log import KafkaLedger
from neardup.cli.wiring import Wiring
from neardup.clusters import ClusterState
from neardup.entries import Decision, Entry
from neardup.logs import PartitionReader
from neardup.messages import ClusterChange, HeadChange
from neardup.types import ImageId, Placement, Position

Change = TypeVar("Change", HeadChange, ClusterChange)


def read_ledger(wiring: Wiring) -> list[Entry]:
    """Every entry, with dense seqs."""
    ledger = KafkaLedger(wiring.kafka, wiring.topics)
    entries: list[Entry] = []
    position = Position()
    while some := ledger.read(after=position):
        entries += [entry for _, entry in some]
        position = some[-1][0]
    ledger.close()
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    return entries


def assert_projections_equal_ledger(wiring: Wiring, published: Iterable[ImageId]) -> ClusterState:
    """No image lost, none twice, none in two clusters; graph, index, cache and feed equal the fold of the ledger."""
    entries = read_ledger(wiring)
    state = ClusterState(entries)
    expected = {placement.image_id: placement for placement in state.placements()}
    assert set(expected) == set(published)

    works = Counter(
        (entry.image_id, entry.version, entry.run)
        for entry in entries
        if isinstance(entry, Decision) and entry.command_id is None
    )
    assert max(works.values()) == 1, "an image was decided twice"

    walked = list(wiring.store.placements_all())
    assert len(walked) == len(expected), "the graph holds an image twice or lost one"
    assert {placement.image_id: placement for placement in walked} == expected
    assert wiring.store.placements(list(expected)) == expected
    for cluster in state.clusters():
        assert wiring.store.clusters([cluster.cluster_id]) == {cluster.cluster_id: cluster}
        members = wiring.store.members(cluster.cluster_id, limit=10_000)
        assert members == state.members(cluster.cluster_id)

    cached = wiring.cache.placements(list(expected))
    assert cached == {image_id: expected[image_id] for image_id in cached}
    assert len(cached) == len(expected), "the cache forgot images although nothing has expired"

    indexed = wiring.search.images(list(expected))
    assert {image_id: (image.version, image.seq, image.searchable) for image_id, image in indexed.items()} == {
        image_id: (placement.version, placement.seq, placement.indexed) for image_id, placement in expected.items()
    }
    assert _documents(wiring) == len(expected), "the index holds an image that the ledger does not"

    assert read_feed(wiring) == {
        image_id: (placement.cluster_id, placement.head) for image_id, placement in expected.items()
    }
    return state


def read_feed(wiring: Wiring) -> dict[ImageId, tuple[str, str]]:
    """Cluster and head of each image as docs/messages.md tells consumers to find them."""
    images: dict[str, HeadChange] = {}
    clusters: dict[str, ClusterChange] = {}
    for key, value in _feed(wiring, wiring.topics.heads):
        if value is None:
            images.pop(key, None)
        else:
            _keep_newest(images, key, HeadChange.decode(value))
    for key, value in _feed(wiring, wiring.topics.clusters):
        if value is None:
            clusters.pop(key, None)
        else:
            _keep_newest(clusters, key, ClusterChange.decode(value))
    found: dict[ImageId, tuple[str, str]] = {}
    for image_id, image in images.items():
        cluster_id, head, revision = image.cluster_id, image.head, image.revision
        segment = clusters.get(image.segment)
        if segment is not None and segment.revision > revision:
            cluster_id, head, revision = segment.root, segment.head, segment.revision
        root = clusters.get(cluster_id)
        if root is not None and root.revision > revision:
            head = root.head
        found[ImageId(image_id)] = (cluster_id, head)
    return found


def _feed(wiring: Wiring, topic: str) -> Iterator[tuple[str, bytes | None]]:
    for partition in range(wiring.settings.kafka.partitions):
        reader = PartitionReader(wiring.kafka, topic, partition)
        offset = 0
        while records := reader.read(offset, 1000):
            for record in records:
                yield record.key.decode(), record.value
            offset = records[-1].offset + 1
        reader.close()


def _keep_newest(known: dict[str, Change], key: str, change: Change) -> None:
    if key not in known or change.revision >= known[key].revision:
        known[key] = change


def partition_of(placements: Iterable[Placement]) -> set[frozenset[ImageId]]:
    """The clusters as sets of images, whatever their names."""
    clusters: dict[str, set[ImageId]] = {}
    for placement in placements:
        clusters.setdefault(placement.cluster_id, set()).add(placement.image_id)
    return {frozenset(members) for members in clusters.values()}


def _documents(wiring: Wiring) -> int:
    from opensearch_templates.names import IndexNames

    names = IndexNames(wiring.settings.namespace, wiring.lsh.version)
    return int(wiring.opensearch.count(index=names.read)["count"])
