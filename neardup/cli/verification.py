"""Reads everything that people read of a namespace, and compares it with the ledger (`neardup.agreement`)."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from neardup.agreement import (
    Disagreement,
    FeedEntry,
    compare_clusters,
    compare_feed,
    compare_index,
    compare_placements,
    compare_published,
    fold,
)
from neardup.cli.wiring import Wiring
from neardup.clusters import ClusterState
from neardup.logs import PartitionReader
from neardup.messages import HeadChange
from neardup.types import ClusterId, Decision, ImageId, Proposal

__all__ = ["Verification"]

_ALL = 2**31
_AT_ONCE = 1000


class Verification:
    """Of one namespace, at rest: what is decided meanwhile looks like a disagreement. Everything is held in memory.
    The wiring is the caller's to close. Not thread-safe. All methods raise UnavailableError."""

    def __init__(self, wiring: Wiring) -> None:
        from graph.kafka_log import KafkaLedger, KafkaProposalLog

        kafka, topics = wiring.kafka, wiring.topics
        self._wiring = wiring
        self._ledger = KafkaLedger(kafka, topics)
        self._proposals = KafkaProposalLog(kafka, topics)
        self._heads = [
            PartitionReader(kafka, topics.heads, number, wait_ms=20)
            for number in range(wiring.settings.kafka.partitions)
        ]

    def ledger(self) -> list[Decision]:
        """Every decision, as it stands in the ledger: not even the seqs were looked at."""
        return [decision for _, decision in self._ledger.tail(_ALL)]

    def proposals(self) -> dict[int, Proposal]:
        """Every proposal that can still be read, by its offset."""
        found: dict[int, Proposal] = {}
        offset = 0
        while some := self._proposals.read(offset=offset, limit=_AT_ONCE):
            found |= dict(some)
            offset = some[-1][0] + 1
        return found

    def feed(self) -> dict[ImageId, FeedEntry]:
        """The change feed as a consumer keeps it: the highest revision of each image."""
        latest: dict[ImageId, FeedEntry] = {}
        for reader in self._heads:
            offset = 0
            while records := reader.read(offset, _AT_ONCE):
                for change in (HeadChange.decode(record.value) for record in records):
                    image_id = ImageId(change.image_id)
                    if image_id not in latest or change.revision >= latest[image_id][2]:
                        latest[image_id] = (ClusterId(change.cluster_id), ImageId(change.head), change.revision)
                offset = records[-1].offset + 1
        return latest

    def check(self, published: Mapping[ImageId, int] | None = None) -> tuple[ClusterState, list[Disagreement]]:
        """The ledger folded, and where anything does not agree with it. `published`: the newest version of every image
        that was sent, when that is known."""
        decisions = self.ledger()
        state, found = fold(decisions)
        if published is not None:
            found += compare_published(state, published)
        found += self._projections(state, decisions)
        return state, found

    def _projections(self, state: ClusterState, decisions: list[Decision]) -> Iterator[Disagreement]:
        wiring = self._wiring
        ids = [placement.image_id for placement in state.placements()]
        clusters = [cluster.cluster_id for cluster in state.clusters()]
        yield from compare_placements("graph", state, wiring.store.placements_all())
        yield from compare_placements("graph", state, wiring.store.placements(ids).values())
        yield from compare_clusters(
            state,
            wiring.store.clusters(clusters),
            {cluster_id: wiring.store.members(cluster_id, limit=_ALL // 2) for cluster_id in clusters},
        )
        yield from compare_placements("cache", state, wiring.cache.placements(ids).values())
        yield from compare_index(
            state,
            wiring.unlimited_search.images(ids),
            documents=int(wiring.opensearch.count(index=wiring.index_names.read)["count"]),
            proposals=self.proposals(),
            decisions=decisions,
        )
        yield from compare_feed(state, self.feed())

    def close(self) -> None:
        """Close the connections."""
        self._ledger.close()
        self._proposals.close()
        for reader in self._heads:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
