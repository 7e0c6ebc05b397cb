"""The topic of incomplete images: embeddings whose partner did not come, kept for a late one to complete."""

from collections.abc import Iterator
from dataclasses import dataclass

from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.topics import Topics
from neardup.types import ImageId

__all__ = ["IncompleteImage", "incomplete_key", "parse_incomplete_key", "read_incomplete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncompleteImage:
    """One embedding of `side` ("lsh" or "score") that is kept. `at_ms`: when the join gave up waiting."""

    image_id: ImageId
    version: int
    side: str
    partition: int
    offset: int
    at_ms: int

    @property
    def missing(self) -> str:
        """The side that did not come."""
        return "score" if self.side == "lsh" else "lsh"


def incomplete_key(side: str, version: int, image_id: ImageId) -> bytes:
    """The key of an entry. The id is last, for it may hold blanks."""
    return f"{side} {version} {image_id}".encode()


def parse_incomplete_key(key: bytes) -> tuple[str, int, ImageId]:
    """Side, version and image id of an entry."""
    side, version, image_id = key.decode().split(" ", 2)
    return side, int(version), ImageId(image_id)


def read_incomplete(kafka: Kafka, topics: Topics, *, partitions: int) -> Iterator[IncompleteImage]:
    """What is incomplete now, partition by partition, in the order in which it was given up. Raises
    LogUnavailableError."""
    for number in range(partitions):
        reader = PartitionReader(kafka, topics.incomplete, number)
        kept: dict[bytes, IncompleteImage] = {}
        try:
            offset = reader.start()
            while records := reader.read(offset, 1000):
                for record in records:
                    kept.pop(record.key, None)
                    if record.value is not None:
                        side, version, image_id = parse_incomplete_key(record.key)
                        kept[record.key] = IncompleteImage(
                            image_id=image_id,
                            version=version,
                            side=side,
                            partition=number,
                            offset=record.offset,
                            at_ms=record.timestamp,
                        )
                offset = records[-1].offset + 1
        finally:
            reader.close()
        yield from kept.values()
