"""Messages that can never succeed: kept with their bytes, their reason and where they came from."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from kafka.consumer.fetcher import ConsumerRecord

from neardup.errors import ConfigError, InvalidMessageError
from neardup.kafka import Kafka, Outgoing, RenewedProducer
from neardup.logs import PartitionReader
from neardup.topics import Topics
from neardup.types import Source

__all__ = ["DeadLetter", "DeadLetterLimit", "DeadLetters", "read_dead_letter", "read_dead_letters"]

_log = structlog.get_logger("dead-letters")

_ORIGINAL = "original-"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter: key, `value` and `headers` as they were received at `received_ms`, and why the message cannot be
    processed. `at_ms`: when it was put aside."""

    offset: int
    reason: str
    source: Source
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    received_ms: int
    at_ms: int


class DeadLetterLimit:
    """More than `row` dead letters in a row, or more than `share` of the last 1,000 messages (of at least 100), and a
    topic is misconfigured: going on would drain it."""

    _LAST, _FEWEST = 1000, 100

    def __init__(self, *, row: int, share: float) -> None:
        self._row_limit = row
        self._share = share
        self._row = 0
        self._dead: deque[bool] = deque(maxlen=self._LAST)
        self._count = 0

    def count(self, *, dead: bool) -> str | None:
        """Count a message; what is wrong when that is too many."""
        if len(self._dead) == self._LAST:
            self._count -= self._dead[0]
        self._dead.append(dead)
        self._count += dead
        self._row = self._row + 1 if dead else 0
        if self._row > self._row_limit:
            return f"{self._row} messages in a row are not valid"
        if dead and len(self._dead) >= self._FEWEST and self._count > self._share * len(self._dead):
            return f"{self._count} of the last {len(self._dead)} messages are not valid"
        return None


class DeadLetters:
    """Writes the topic of dead letters, within a limit."""

    def __init__(self, kafka: Kafka, topics: Topics, *, limit: DeadLetterLimit) -> None:
        self._topic = topics.dead_letters
        self._limit = limit
        self._producer = RenewedProducer(kafka.producer)
        self._waiting: list[Outgoing] = []

    def send(self, record: ConsumerRecord, error: InvalidMessageError) -> None:
        """Put a record aside, for `flush` to write. Raises ConfigError when they are too many."""
        too_many = self._limit.count(dead=True)
        if too_many is not None:
            raise ConfigError(
                f"{record.topic}: {too_many}, the last one: {error}; is something else being written to this topic?"
            )
        _log.warning(
            "dead letter", topic=record.topic, partition=record.partition, offset=record.offset, reason=str(error)
        )
        headers = [
            ("reason", str(error).encode()),
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            ("timestamp", str(record.timestamp).encode()),
            *((f"{_ORIGINAL}{name}", value) for name, value in record.headers),
        ]
        self._waiting.append(Outgoing(self._topic, record.key, record.value, 0, headers))

    def accepted(self) -> None:
        """A message was valid."""
        self._limit.count(dead=False)

    def flush(self) -> None:
        """Return when every dead letter is durable; only then commit the offsets of their messages. Raises
        LogUnavailableError: call again."""
        if self._waiting:
            self._producer.write(self._waiting, "writing dead letters")
            self._waiting = []


def read_dead_letters(kafka: Kafka, topics: Topics) -> Iterator[DeadLetter]:
    """All dead letters, oldest first. Raises LogUnavailableError."""
    reader = PartitionReader(kafka, topics.dead_letters)
    try:
        offset = reader.start()
        while records := reader.read(offset, 500):
            yield from map(_dead_letter, records)
            offset = records[-1].offset + 1
    finally:
        reader.close()


def read_dead_letter(kafka: Kafka, topics: Topics, offset: int) -> DeadLetter | None:
    """The dead letter at this offset, if there is one. Raises LogUnavailableError."""
    reader = PartitionReader(kafka, topics.dead_letters)
    try:
        if not reader.start() <= offset < reader.end():
            return None
        records = reader.read(offset, 1)
        return _dead_letter(records[0]) if records and records[0].offset == offset else None
    finally:
        reader.close()


def _dead_letter(record: ConsumerRecord) -> DeadLetter:
    headers = dict(record.headers)
    return DeadLetter(
        offset=record.offset,
        reason=headers["reason"].decode(),
        source=Source(
            topic=headers["topic"].decode(),
            partition=int(headers["partition"]),
            offset=int(headers["offset"]),
        ),
        key=record.key,
        value=record.value,
        headers=tuple(
            (name.removeprefix(_ORIGINAL), value) for name, value in record.headers if name.startswith(_ORIGINAL)
        ),
        received_ms=int(headers["timestamp"]),
        at_ms=record.timestamp,
    )
