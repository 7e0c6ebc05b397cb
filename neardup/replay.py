"""Dead letters sent once more, as they were, to where they came from; each one once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kafka import KafkaProducer

from neardup.dead_letters import DeadLetter
from neardup.kafka import Kafka, kafka_errors
from neardup.logs import PartitionReader
from neardup.topics import Topics

__all__ = ["Replay", "Replayed"]

_AT_ONCE = 200
_HEADER = "replayed-dead-letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of a dead letter: sent to `offset` of its old topic and partition; None: it was replayed before."""

    letter: DeadLetter
    offset: int | None


class Replay:
    """A message and the note that it was replayed are written in one transaction: a command that dies sends nothing
    twice, and of two commands at the same time the older one is refused (FencedError)."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._kafka = kafka
        self._topics = topics

    def done(self) -> dict[int, int]:
        """The dead letters that were replayed, by offset, and when in milliseconds since the epoch. Raises
        LogUnavailableError."""
        reader = PartitionReader(self._kafka, self._topics.replayed)
        done: dict[int, int] = {}
        try:
            offset = reader.start()
            while records := reader.read(offset, 1000):
                done |= {int(record.key): record.timestamp for record in records}
                offset = records[-1].offset + 1
        finally:
            reader.close()
        return done

    def send(self, letters: Iterable[DeadLetter]) -> Iterator[Replayed]:
        """Replay what was not replayed before; gives each letter when that is durable. Raises FencedError,
        LogUnavailableError."""
        with kafka_errors("preparing a replay"):
            producer = self._kafka.producer(
                transactional_id=self._topics.group("replay"), transaction_timeout_ms=60_000
            )
            producer.init_transactions()
        try:
            # Only now: whoever replayed before is fenced, and what it did can be read.
            done = self.done()
            batch: list[DeadLetter] = []
            for letter in letters:
                if letter.offset in done:
                    yield Replayed(letter=letter, offset=None)
                else:
                    batch.append(letter)
                if len(batch) == _AT_ONCE:
                    yield from self._transaction(producer, batch)
                    batch = []
            yield from self._transaction(producer, batch)
        finally:
            producer.close(timeout=5)

    def _transaction(self, producer: KafkaProducer, letters: list[DeadLetter]) -> list[Replayed]:
        if not letters:
            return []
        with kafka_errors("replaying dead letters"):
            producer.begin_transaction()
            sent = [
                producer.send(
                    letter.source.topic,
                    key=letter.key,
                    value=letter.value,
                    headers=[
                        *((name, value) for name, value in letter.headers if name != _HEADER),
                        (_HEADER, str(letter.offset).encode()),
                    ],
                    partition=letter.source.partition,
                )
                for letter in letters
            ]
            notes = [
                producer.send(self._topics.replayed, key=str(letter.offset).encode(), value=b"", partition=0)
                for letter in letters
            ]
            producer.flush(timeout=60)
            offsets = [future.get(timeout=0).offset for future in sent]
            for future in notes:
                future.get(timeout=0)
            producer.commit_transaction()
        return [Replayed(letter=letter, offset=offset) for letter, offset in zip(letters, offsets, strict=True)]
