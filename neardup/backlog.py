"""How far each stage is behind the one before it, from offsets alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from kafka import KafkaConsumer, TopicPartition

from neardup.errors import LogUnavailableError
from neardup.kafka import ANSWER_MS, Kafka, RenewedConsumer
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
        self._topics = topics
        # They never subscribe, so they never join the groups whose offsets they read.
        self._groups = {
            role: RenewedConsumer(partial(kafka.consumer, group_id=topics.group(role)))
            for role in ("join", "propose", "assigner")
        }
        self._committed = self._groups["assigner"]
        self._uncommitted = RenewedConsumer(partial(kafka.consumer, isolation_level="read_uncommitted"))

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
        return self._ledger_end(self._committed)

    def undeclared(self) -> int:
        """Offsets of the ledger that are written but not yet readable: transactions that are being committed."""
        return self._ledger_end(self._uncommitted) - self.ledger_end()

    def written(self, topic: str) -> int:
        """How many offsets a topic has come to, over all its partitions."""
        with self._committed.use(f"reading the ends of {topic}") as consumer:
            return sum(consumer.end_offsets(_partitions(consumer, [topic]), timeout_ms=ANSWER_MS).values())

    def close(self) -> None:
        """Close the connections."""
        for consumer in (*self._groups.values(), self._uncommitted):
            consumer.close()

    def _ledger_end(self, connection: RenewedConsumer) -> int:
        partition = TopicPartition(self._topics.ledger, 0)
        with connection.use("reading the end of the ledger") as consumer:
            return int(consumer.end_offsets([partition], timeout_ms=ANSWER_MS)[partition])

    def _behind(self, role: str, *names: str) -> int:
        with self._groups[role].use(f"reading the offsets of {role}") as consumer:
            ends = consumer.end_offsets(_partitions(consumer, names), timeout_ms=ANSWER_MS)
            return sum(
                end - (consumer.committed(partition, timeout_ms=ANSWER_MS) or 0) for partition, end in ends.items()
            )


def _partitions(consumer: KafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    """All partitions; a topic the broker does not know (yet) must not pass for an empty one."""
    found = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            raise LogUnavailableError(f"the broker does not know topic {topic}; if that lasts: neardup setup")
        found += [TopicPartition(topic, number) for number in sorted(numbers)]
    return found
