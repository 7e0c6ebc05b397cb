"""Everything people read must equal the ledger, folded again from its first entry."""

from collections import Counter
from collections.abc import Iterable

from graph.kafka_log import KafkaLedger
from graph.redis_cache import RedisHeadCache
from neardup.cli.wiring import Wiring
from neardup.clusters import ClusterState
from neardup.entries import Decision, Entry
from neardup.logs import PartitionReader
from neardup.messages import HeadChange
from neardup.types import ImageId, Placement, Position


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

    # What it holds, also when nobody vouches for it any more because the worker is down.
    held = RedisHeadCache(wiring.redis, wiring.settings.namespace, ttl_seconds=wiring.settings.redis.ttl_seconds)
    cached = held.placements(list(expected))
    assert cached == {image_id: expected[image_id] for image_id in cached}
    assert len(cached) == len(expected), "the cache forgot images although nothing has expired"

    last = state.seq
    assert wiring.history.position().seq == last
    assert wiring.history.placements_at(list(expected), seq=last) == expected
    for cluster in state.clusters():
        past = wiring.history.members_at(cluster.cluster_id, seq=last, limit=10_000)
        assert past.members == state.members(cluster.cluster_id).members

    indexed = wiring.search.images(list(expected))
    assert {image_id: (image.version, image.seq, image.searchable) for image_id, image in indexed.items()} == {
        image_id: (placement.version, placement.seq, placement.indexed) for image_id, placement in expected.items()
    }
    assert _documents(wiring) == len(expected), "the index holds an image that the ledger does not"

    assert read_feed(wiring) == {
        image_id: (placement.cluster_id, placement.head, placement.seq) for image_id, placement in expected.items()
    }
    return state


def read_feed(wiring: Wiring) -> dict[ImageId, tuple[str, str, int]]:
    """The change feed as a consumer keeps it: the highest revision of each image."""
    latest: dict[ImageId, tuple[str, str, int]] = {}
    for partition in range(wiring.settings.kafka.partitions):
        reader = PartitionReader(wiring.kafka, wiring.topics.heads, partition)
        offset = 0
        while records := reader.read(offset, 1000):
            for record in records:
                change = HeadChange.decode(record.value)
                image_id = ImageId(change.image_id)
                if image_id not in latest or change.revision >= latest[image_id][2]:
                    latest[image_id] = (change.cluster_id, change.head, change.revision)
            offset = records[-1].offset + 1
        reader.close()
    return latest


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
