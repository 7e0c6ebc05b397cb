"""The topic of incomplete images, as the join reads it: what is parked, and the bytes of one side."""

from collections.abc import Iterator

from kafka.consumer.fetcher import ConsumerRecord

from indexer.join import Parked, Side
from neardup.incomplete import parse_incomplete_key
from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.topics import Topics
from neardup.types import ImageId

__all__ = ["IncompleteSides"]


class IncompleteSides:
    """One reader a partition, opened when needed. Raises LogUnavailableError."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._kafka = kafka
        self._topic = topics.incomplete
        self._readers: dict[int, PartitionReader] = {}

    def entries(self, partition: int) -> Iterator[Parked | tuple[ImageId, int]]:
        """All entries in order: a side that is parked, or the id and version of one that is no longer."""
        reader = self._reader(partition)
        offset = reader.start()
        while records := reader.read(offset, 500):
            for record in records:
                side, version, image_id = parse_incomplete_key(record.key)
                if record.value is None:
                    yield image_id, version
                else:
                    yield Parked(
                        side=Side(side), image_id=image_id, version=version, partition=partition, offset=record.offset
                    )
            offset = records[-1].offset + 1

    def record(self, parked: Parked) -> ConsumerRecord | None:
        """The record of a parked side; None when it is no longer there."""
        records = self._reader(parked.partition).read(parked.offset, 1)
        found = records and records[0].offset == parked.offset and records[0].value is not None
        return records[0] if found else None

    def close(self) -> None:
        """Close the connections."""
        for reader in self._readers.values():
            reader.close()

    def _reader(self, partition: int) -> PartitionReader:
        if partition not in self._readers:
            self._readers[partition] = PartitionReader(self._kafka, self._topic, partition)
        return self._readers[partition]
