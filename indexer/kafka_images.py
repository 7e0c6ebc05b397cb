"""The joined images as they are kept in the topic of images: the source when proposals are no longer there."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from neardup.errors import InvalidMessageError
from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.messages import ImageRecord
from neardup.topics import Topics
from neardup.types import Image, ImageId, Source

__all__ = ["KafkaImages"]

_AT_ONCE = 500


class KafkaImages:
    """Reads the topic from its beginning. Not thread-safe. All methods raise LogUnavailableError."""

    def __init__(self, kafka: Kafka, topics: Topics, *, partitions: int) -> None:
        self._topic = topics.images
        self._readers = [PartitionReader(kafka, topics.images, number, wait_ms=20) for number in range(partitions)]

    def all(self) -> Iterator[tuple[ImageId, tuple[Source, Image] | None]]:
        """Every message, oldest first in each partition: an image with the place it was read at, or None for one that
        was erased. Of one image the last counts; records that cannot be read were dead letters and are passed over."""
        for number, reader in enumerate(self._readers):
            offset = reader.start()
            while records := reader.read(offset, _AT_ONCE):
                for record in records:
                    image_id = ImageId(record.key.decode())
                    if record.value is None:
                        yield image_id, None
                        continue
                    source = Source(topic=self._topic, partition=number, offset=record.offset)
                    try:
                        yield image_id, (source, ImageRecord.decode(record.value).image())
                    except InvalidMessageError:
                        continue
                offset = records[-1].offset + 1

    def close(self) -> None:
        """Close the connections."""
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
