"""Messages that can never succeed: kept with their bytes, their reason and where they came from."""

from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from kafka.consumer.fetcher import ConsumerRecord

from neardup.errors import ConfigError, InvalidMessageError
from neardup.kafka import Kafka, Outgoing, RenewedProducer
from neardup.logs import PartitionReader
from neardup.topics import Topics
from neardup.types import Source

__all__ = ["DeadLetter", "DeadLetters", "read_dead_letters"]

_log = structlog.get_logger("dead-letters")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter: the `value` as it was received, and why it cannot be processed."""

    offset: int
    reason: str
    source: Source
    key: bytes | None
    value: bytes | None
    at_ms: int


class DeadLetters:
    """Writes the topic of dead letters. More than `limit` in a row stop the worker: the topic is misconfigured."""

    def __init__(self, kafka: Kafka, topics: Topics, *, limit: int) -> None:
        self._topic = topics.dead_letters
        self._limit = limit
        self._row = 0
        self._producer = RenewedProducer(kafka.producer)
        self._waiting: list[Outgoing] = []

    def send(self, record: ConsumerRecord, error: InvalidMessageError) -> None:
        """Put a record aside, for `flush` to write. Raises ConfigError after too many in a row."""
        self._row += 1
        if self._row > self._limit:
            raise ConfigError(
                f"{self._row} messages in a row of {record.topic} are not valid, the last one: {error}; "
                "is something else being written to this topic?"
            )
        _log.warning(
            "dead letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error)
        )
        headers = [
            ("reason", str(error).encode()),
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            *((f"original-{name}", value) for name, value in record.headers),
        ]
        self._waiting.append(Outgoing(self._topic, record.key, record.value, 0, headers))

    def accepted(self) -> None:
        """A message was valid."""
        self._row = 0

    def flush(self) -> None:
        """Return when every dead letter is durable; only then commit the offsets of their messages. Raises
        LogUnavailableError: call again."""
        if self._waiting:
            self._producer.write(self._waiting, "writing dead letters")
            self._waiting = []


def read_dead_letters(kafka: Kafka, topics: Topics) -> Iterator[DeadLetter]:
    """All dead letters, oldest first."""
    reader = PartitionReader(kafka, topics.dead_letters)
    try:
        offset = reader.start()
        while records := reader.read(offset, 500):
            for record in records:
                headers = dict(record.headers)
                yield DeadLetter(
                    offset=record.offset,
                    reason=headers["reason"].decode(),
                    source=Source(
                        topic=headers["topic"].decode(),
                        partition=int(headers["partition"]),
                        offset=int(headers["offset"]),
                    ),
                    key=record.key,
                    value=record.value,
                    at_ms=record.timestamp,
                )
            offset = records[-1].offset + 1
    finally:
        reader.close()
