"""The change feed: topics for systems that act on clusters. A projection.

`heads`: image id -> cluster and head, a message for every decision. `clusters`: cluster id -> root and head, for what
changes the head of many images at once, whose number has no bound: a promotion, a merge. Both are compacted, so they
lose what lies between; `moves` has every change, in the order of the ledger, for some days.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from graph.moves import move_of
from neardup.crashpoints import crash_point
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.errors import ClusterConflictError
from neardup.kafka import ANSWER_MS, Kafka, Outgoing, RenewedConsumer, RenewedProducer
from neardup.messages import ClusterChange, ClusterMove, HeadChange
from neardup.topics import Topics
from neardup.types import ClusterId, Position

__all__ = ["HeadsFeed", "changes_of"]


class HeadsFeed:
    """Port Projection. Its position is a committed offset of its own group, so changes may be sent twice after a crash;
    their revision makes that harmless."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._topics = topics
        self._ledger = TopicPartition(topics.ledger, 0)
        self._offsets = RenewedConsumer(partial(kafka.consumer, group_id=topics.group("feed")))
        self._producer = RenewedProducer(kafka.producer)

    def position(self) -> Position:
        """The last position whose changes are durable."""
        with self._offsets.use("reading the position of the change feed") as consumer:
            committed = consumer.committed(self._ledger, metadata=True, timeout_ms=ANSWER_MS)
        if committed is None or not committed.metadata:
            return Position()
        return Position(**json.loads(committed.metadata))

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        """Send the changes, then commit the position."""
        applied = self.position().seq
        if entries[0].seq != applied + 1:
            raise ClusterConflictError(f"the change feed stands at seq {applied}, not before {entries[0].seq}")
        changes = [
            Outgoing(topic, key.encode(), None if change is None else change.encode())
            for entry in entries
            for topic, key, change in (*_move(entry, self._topics), *changes_of(entry, self._topics))
        ]
        self._producer.write(changes, "writing the change feed")
        crash_point("project.feed-sent")
        metadata = json.dumps(asdict(upto), separators=(",", ":"))
        with self._offsets.use("recording the position of the change feed") as consumer:
            consumer.commit({self._ledger: OffsetAndMetadata(upto.ledger_offset + 1, metadata, -1)}, timeout_ms=10_000)

    def close(self) -> None:
        """Close the connections."""
        self._producer.close()
        self._offsets.close()


def changes_of(entry: Entry, topics: Topics) -> Iterator[tuple[str, str, HeadChange | ClusterChange | None]]:
    """Topic, key and message of each change that an entry makes; no message: what was under this key is gone."""
    heads, clusters = topics.heads, topics.clusters
    match entry:
        case Decision():
            yield heads, entry.image_id, _of_image(entry)
        case HeadChanged():
            yield clusters, entry.cluster_id, _of_cluster(entry.cluster_id, entry, entry.cluster_id)
        case ClusterMerged():
            for segment in entry.segments:
                yield clusters, segment, _of_cluster(segment, entry, entry.into)
        case ClusterUnmerged():
            for segment in entry.segments:
                yield clusters, segment, _of_cluster(segment, entry, entry.cluster_id)
        case ImageErased():
            yield heads, entry.image_id, None
            if entry.cluster_id is not None:
                yield clusters, entry.cluster_id, _of_cluster(entry.cluster_id, entry, entry.cluster_id)
        case _:
            pass


def _move(entry: Entry, topics: Topics) -> Iterator[tuple[str, str, ClusterMove]]:
    move = move_of(entry)
    if move is not None:
        yield topics.moves, move.image_id or move.cluster_id or "", move


def _of_image(decision: Decision) -> HeadChange:
    return HeadChange(
        image_id=decision.image_id,
        cluster_id=decision.cluster_id,
        segment=decision.segment,
        head=decision.head,
        previous_cluster_id=decision.previous_cluster,
        version=decision.version,
        revision=decision.seq,
        rule=decision.rule,
        at_ms=decision.at_ms,
    )


def _of_cluster(
    cluster_id: ClusterId, entry: HeadChanged | ClusterMerged | ClusterUnmerged | ImageErased, root: ClusterId
) -> ClusterChange | None:
    if entry.head is None:
        return None
    return ClusterChange(
        cluster_id=cluster_id, root=root, head=entry.head, revision=entry.seq, reason=entry.kind, at_ms=entry.at_ms
    )
