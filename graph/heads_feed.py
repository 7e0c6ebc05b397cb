"""The change feed: a compacted topic image id -> cluster and head, for systems that act on clusters. A projection."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from neardup.crashpoints import crash_point
from neardup.errors import ClusterConflictError
from neardup.kafka import ANSWER_MS, Kafka, Outgoing, RenewedConsumer, RenewedProducer
from neardup.messages import HeadChange
from neardup.topics import Topics
from neardup.types import Decision, Position

__all__ = ["HeadsFeed"]


class HeadsFeed:
    """Port Projection. Its position is a committed offset of its own group, so changes may be sent twice after a crash;
    their revision makes that harmless."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._topic = topics.heads
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

    def apply(self, decisions: Sequence[Decision], *, upto: Position) -> None:
        """Send one change a decision, then commit the position."""
        applied = self.position().seq
        if decisions[0].seq != applied + 1:
            raise ClusterConflictError(f"the change feed stands at seq {applied}, not before {decisions[0].seq}")
        changes = [
            Outgoing(self._topic, decision.image_id.encode(), _change(decision).encode()) for decision in decisions
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


def _change(decision: Decision) -> HeadChange:
    return HeadChange(
        image_id=decision.image_id,
        cluster_id=decision.cluster_id,
        head=decision.head,
        previous_cluster_id=decision.previous_cluster,
        version=decision.version,
        revision=decision.seq,
        rule=decision.rule,
        at_ms=decision.at_ms,
    )
