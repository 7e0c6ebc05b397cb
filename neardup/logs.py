"""Reading one partition of a topic by offset: what the ledger and the proposals have in common."""

import time

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from neardup.errors import LogUnavailableError
from neardup.kafka import ANSWER_MS, Kafka, RenewedConsumer

__all__ = ["PartitionReader"]

_LONGEST_READ_SECONDS = 20.0
_SHORTEST_WAIT_MS = 100


class PartitionReader:
    """A cursor over the committed records of one partition. Not thread-safe. Opened when it is first used, and opened
    anew after any failure."""

    def __init__(self, kafka: Kafka, topic: str, partition: int = 0, *, wait_ms: int = 200) -> None:
        self._kafka = kafka
        self._partition = TopicPartition(topic, partition)
        self._connection = RenewedConsumer(self._open)
        self._wait_ms = wait_ms
        self._next = -1

    def read(self, offset: int, limit: int) -> list[ConsumerRecord]:
        """The records from `offset` on, at most `limit`. Waits up to `wait_ms` for one; empty only at the end.

        Raises LogUnavailableError when the end cannot be reached.
        """
        topic = self._partition.topic
        deadline = time.monotonic() + _LONGEST_READ_SECONDS
        with self._connection.use(f"reading {topic}") as consumer:
            if offset != self._next:
                consumer.seek(self._partition, offset)
            while True:
                polled = consumer.poll(timeout_ms=self._wait_ms, max_records=limit)
                records: list[ConsumerRecord] = polled.get(self._partition, [])
                position = consumer.position(self._partition, timeout_ms=ANSWER_MS)
                self._next = records[-1].offset + 1 if records else offset
                if records or position >= self._end(consumer):
                    return records
                if time.monotonic() > deadline:
                    raise LogUnavailableError(f"reading {topic}: nothing came from offset {offset} on, before its end")

    def end(self) -> int:
        """The offset after the last committed record, transaction markers counted."""
        with self._connection.use(f"reading the end of {self._partition.topic}") as consumer:
            return self._end(consumer)

    def start(self) -> int:
        """The offset of the oldest record still there."""
        with self._connection.use(f"reading the start of {self._partition.topic}") as consumer:
            return int(consumer.beginning_offsets([self._partition], timeout_ms=ANSWER_MS)[self._partition])

    def tail(self, count: int) -> list[ConsumerRecord]:
        """The last committed records: at least `count`, or all there are."""
        end, start = self.end(), self.start()
        back = 2 * count
        while True:
            offset = max(start, end - back)
            records: list[ConsumerRecord] = []
            while offset < end and (some := self.read(offset, 1000)):
                records += [record for record in some if record.offset < end]
                offset = some[-1].offset + 1
            if len(records) >= count or end - back <= start:
                return records
            back *= 4

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _open(self) -> KafkaConsumer:
        consumer = self._kafka.consumer(fetch_max_wait_ms=max(_SHORTEST_WAIT_MS, self._wait_ms))
        consumer.assign([self._partition])
        self._next = -1
        return consumer

    def _end(self, consumer: KafkaConsumer) -> int:
        return int(consumer.end_offsets([self._partition], timeout_ms=ANSWER_MS)[self._partition])
