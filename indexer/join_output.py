"""What the join writes: images, and the sides that stay incomplete."""

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaProducer

from indexer.join import Arrival, Parked
from neardup.incomplete import incomplete_key
from neardup.kafka import Kafka, kafka_errors
from neardup.messages import ImageRecord
from neardup.topics import Topics
from neardup.types import Image

__all__ = ["JoinOutput", "Message"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be written. `parks`: the side whose bytes these are, if it stays incomplete."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    parks: Arrival | None = None


class JoinOutput:
    """Makes the messages and writes them."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._topics = topics
        self._producer: KafkaProducer = kafka.producer()

    def image(self, image: Image, partition: int) -> Message:
        """A complete image."""
        key, value = image.image_id.encode(), ImageRecord.of(image).encode()
        return Message(topic=self._topics.images, partition=partition, key=key, value=value)

    def incomplete(self, side: Arrival) -> Message:
        """A side whose partner did not come."""
        key = incomplete_key(side.side, side.version, side.image_id)
        return Message(topic=self._topics.incomplete, partition=side.partition, key=key, value=side.raw, parks=side)

    def completed(self, parked: Parked) -> Message:
        """The end of a side that was incomplete."""
        key = incomplete_key(parked.side, parked.version, parked.image_id)
        return Message(topic=self._topics.incomplete, partition=parked.partition, key=key, value=None)

    def write(self, messages: Sequence[Message]) -> list[Parked]:
        """Write everything and return, when it is durable, where the incomplete sides are. Raises LogUnavailableError:
        some may be written, so write all again."""
        # Images before tombstones: what is parked must not go before the image it became part of is durable.
        written = [message for message in messages if message.value is not None]
        removed = [message for message in messages if message.value is None]
        parked = []
        for some in filter(None, (written, removed)):
            for message, offset in zip(some, self._send(some), strict=True):
                if (side := message.parks) is not None:
                    parked.append(
                        Parked(
                            side=side.side,
                            image_id=side.image_id,
                            version=side.version,
                            partition=side.partition,
                            offset=offset,
                        )
                    )
        return parked

    def close(self) -> None:
        """Close the connection."""
        self._producer.close(timeout=5)

    def _send(self, messages: Sequence[Message]) -> list[int]:
        with kafka_errors("writing images"):
            futures = [
                self._producer.send(one.topic, key=one.key, value=one.value, partition=one.partition)
                for one in messages
            ]
            self._producer.flush(timeout=30)
            return [future.get(timeout=0).offset for future in futures]
