"""Reading one partition of a topic by offset: what the ledger and the proposals have in common."""

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from neardup.kafka import Kafka, kafka_errors

__all__ = ["PartitionReader"]


class PartitionReader:
    """A cursor over the committed records of one partition. Not thread-safe."""

    def __init__(self, kafka: Kafka, topic: str, partition: int = 0, *, wait_ms: int = 200) -> None:
        self._consumer = kafka.consumer()
        self._partition = TopicPartition(topic, partition)
        self._consumer.assign([self._partition])
        self._wait_ms = wait_ms
        self._next = -1

    def read(self, offset: int, limit: int) -> list[ConsumerRecord]:
        """The records from `offset` on, at most `limit`. Waits up to `wait_ms` for one; empty only at the end.

        Raises LogUnavailableError when the end cannot be reached.
        """
        with kafka_errors(f"reading {self._partition.topic}"):
            if offset != self._next:
                self._consumer.seek(self._partition, offset)
            while True:
                polled = self._consumer.poll(timeout_ms=self._wait_ms, max_records=limit)
                records: list[ConsumerRecord] = polled.get(self._partition, [])
                position = self._consumer.position(self._partition, timeout_ms=5000)
                self._next = records[-1].offset + 1 if records else offset
                if records or position >= self.end():
                    return records

    def end(self) -> int:
        """The offset after the last committed record, transaction markers counted."""
        with kafka_errors(f"reading the end of {self._partition.topic}"):
            return int(self._consumer.end_offsets([self._partition], timeout_ms=5000)[self._partition])

    def start(self) -> int:
        """The offset of the oldest record still there."""
        with kafka_errors(f"reading the start of {self._partition.topic}"):
            return int(self._consumer.beginning_offsets([self._partition], timeout_ms=5000)[self._partition])

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
        self._consumer.close(autocommit=False)
