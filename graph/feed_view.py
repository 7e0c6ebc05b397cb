"""The change feed as a consumer keeps it: the newest message about each image and about each cluster."""

from neardup.agreement import ClusterEntry, FeedEntry
from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.messages import ClusterChange, HeadChange
from neardup.topics import Topics
from neardup.types import ClusterId, ImageId

__all__ = ["FeedView"]

_AT_ONCE = 1000


class FeedView:
    """Follows both topics from their beginnings, all of it held in memory. Not thread-safe."""

    def __init__(self, kafka: Kafka, topics: Topics, *, partitions: int) -> None:
        self.images: dict[ImageId, FeedEntry] = {}
        self.clusters: dict[ClusterId, ClusterEntry] = {}
        self._heads = [PartitionReader(kafka, topics.heads, number, wait_ms=20) for number in range(partitions)]
        self._clusters = [PartitionReader(kafka, topics.clusters, number, wait_ms=20) for number in range(partitions)]
        self._next: dict[PartitionReader, int] = {}

    def read_on(self) -> None:
        """Take in what has come since the last call. Raises LogUnavailableError."""
        for reader in self._heads:
            for key, value in self._new(reader):
                self._take_image(ImageId(key), value)
        for reader in self._clusters:
            for key, value in self._new(reader):
                self._take_cluster(ClusterId(key), value)

    def _new(self, reader: PartitionReader) -> list[tuple[str, bytes | None]]:
        if reader not in self._next:
            self._next[reader] = reader.start()
        found: list[tuple[str, bytes | None]] = []
        while records := reader.read(self._next[reader], _AT_ONCE):
            found += [(record.key.decode(), record.value) for record in records]
            self._next[reader] = records[-1].offset + 1
        return found

    def _take_image(self, image_id: ImageId, value: bytes | None) -> None:
        if value is None:
            self.images.pop(image_id, None)
            return
        change = HeadChange.decode(value)
        known = self.images.get(image_id)
        if known is None or known.revision <= change.revision:
            self.images[image_id] = FeedEntry(
                segment=change.segment, cluster_id=change.cluster_id, head=change.head, revision=change.revision
            )

    def _take_cluster(self, cluster_id: ClusterId, value: bytes | None) -> None:
        if value is None:
            self.clusters.pop(cluster_id, None)
            return
        change = ClusterChange.decode(value)
        known = self.clusters.get(cluster_id)
        if known is None or known.revision <= change.revision:
            self.clusters[cluster_id] = ClusterEntry(root=change.root, head=change.head, revision=change.revision)

    def close(self) -> None:
        """Close the connections."""
        for reader in (*self._heads, *self._clusters):
            reader.close()
