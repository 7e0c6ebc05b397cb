"""The standing words on Kafka, for those who must obey them."""

from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.records import decode_change
from neardup.standing import StandingChange
from neardup.topics import Topics

__all__ = ["KafkaStandingLog"]


class KafkaStandingLog:
    """Port StandingLog. Not thread-safe. `wait_ms`: how long a look waits for something new."""

    def __init__(self, kafka: Kafka, topics: Topics, *, wait_ms: int = 200) -> None:
        self._reader = PartitionReader(kafka, topics.standing, wait_ms=wait_ms)
        self._next: int | None = None

    def changes(self) -> list[StandingChange]:
        """What has come since the last call; at the first all that the topic holds."""
        if self._next is None:
            self._next = self._reader.start()
        found: list[StandingChange] = []
        while records := self._reader.read(self._next, 1000):
            found += [decode_change(record.key, record.value) for record in records]
            self._next = records[-1].offset + 1
        return found

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
