"""How far each stage is behind the one before it, from offsets alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition

from neardup.errors import LogUnavailableError
from neardup.kafka import Kafka, bounded, kafka_errors
from neardup.topics import Topics
from neardup.types import Position

__all__ = ["Backlog", "BacklogReader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Messages not yet processed. Offsets count transaction markers, so `ledger` may be up to twice the decisions."""

    embeddings: int
    images: int
    proposals: int

    @property
    def total(self) -> int:
        """Messages waiting anywhere before the ledger."""
        return self.embeddings + self.images + self.proposals


class BacklogReader:
    """Reads committed offsets of the groups and ends of the topics. Not thread-safe."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._kafka = kafka
        self._topics = topics
        self._consumers: dict[str, KafkaConsumer] = {}
        self._uncommitted: KafkaConsumer | None = None

    def read(self) -> Backlog:
        """The backlog of every stage before the ledger. Raises LogUnavailableError."""
        topics = self._topics
        return Backlog(
            embeddings=self._behind("join", topics.lsh_embeddings, topics.score_embeddings),
            images=self._behind("propose", topics.images, topics.requeue),
            proposals=self.undecided(),
        )

    def undecided(self) -> int:
        """Proposals the assigner has not read."""
        return self._behind("assigner", self._topics.proposals)

    def unapplied(self, position: Position) -> int:
        """Ledger offsets after a projection's position."""
        return max(0, self.ledger_end() - 1 - position.ledger_offset)

    def ledger_end(self) -> int:
        """The offset after the last committed entry of the ledger, markers counted."""
        partition = TopicPartition(self._topics.ledger, 0)
        with kafka_errors("reading the end of the ledger"):
            return int(self._consumer("assigner").end_offsets([partition], timeout_ms=5000)[partition])

    def undeclared(self) -> int:
        """Offsets of the ledger that are written but not yet readable: transactions that are being committed."""
        partition = TopicPartition(self._topics.ledger, 0)
        if self._uncommitted is None:
            self._uncommitted = self._kafka.consumer(isolation_level="read_uncommitted")
        with kafka_errors("reading the end of the ledger"):
            ends = self._uncommitted.end_offsets([partition], timeout_ms=5000)
        return int(ends[partition]) - self.ledger_end()

    def written(self, topic: str) -> int:
        """How many offsets a topic has come to, over all its partitions."""
        consumer = self._consumer("assigner")
        with kafka_errors(f"reading the ends of {topic}"):
            return sum(consumer.end_offsets(_partitions(consumer, [topic]), timeout_ms=5000).values())

    def close(self) -> None:
        """Close the connections."""
        for consumer in self._consumers.values():
            consumer.close(autocommit=False)
        if self._uncommitted is not None:
            self._uncommitted.close(autocommit=False)

    def _consumer(self, role: str) -> KafkaConsumer:
        if role not in self._consumers:
            # Never subscribes, so it never joins the group whose offsets it reads.
            self._consumers[role] = self._kafka.consumer(group_id=self._topics.group(role))
        return self._consumers[role]

    def _behind(self, role: str, *names: str) -> int:
        doing = f"reading the offsets of {role}"
        consumer = self._consumer(role)
        try:
            with kafka_errors(doing):
                return bounded(doing, lambda: _behind(consumer, names))
        except LogUnavailableError:
            # It may hang for good: the next call gets another one.
            self._consumers.pop(role, None)
            raise


def _behind(consumer: KafkaConsumer, topics: Sequence[str]) -> int:
    ends = consumer.end_offsets(_partitions(consumer, topics), timeout_ms=5000)
    return sum(end - (consumer.committed(partition, timeout_ms=5000) or 0) for partition, end in ends.items())


def _partitions(consumer: KafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    """All partitions; a topic the broker does not know (yet) must not pass for an empty one."""
    found = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise LogUnavailableError(f"the broker does not know topic {topic}; if that lasts: neardup setup")
        found += [TopicPartition(topic, number) for number in sorted(numbers)]
    return found
