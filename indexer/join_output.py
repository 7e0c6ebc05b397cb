"""What the join writes: images, the sides that stay incomplete, and commands that erase."""

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.join import Arrival, Parked
from neardup.commands import Command
from neardup.crashpoints import crash_point
from neardup.incomplete import incomplete_key
from neardup.kafka import Kafka, Outgoing, RenewedProducer
from neardup.messages import ImageRecord
from neardup.records import encode_request
from neardup.topics import Topics
from neardup.types import Image

__all__ = ["JoinOutput", "Message"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be written. `parks`: the side whose bytes these are, if it stays incomplete."""

    outgoing: Outgoing
    parks: Arrival | None = None


class JoinOutput:
    """Makes the messages and writes them. Not thread-safe."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._topics = topics
        self._producer = RenewedProducer(kafka.producer)

    def image(self, image: Image, partition: int) -> Message:
        """A complete image."""
        key, value = image.image_id.encode(), ImageRecord.of(image).encode()
        return Message(outgoing=Outgoing(self._topics.images, key, value, partition))

    def command(self, command: Command) -> Message:
        """What is for the assigner to answer."""
        return Message(
            outgoing=Outgoing(self._topics.proposals, command.command_id.encode(), encode_request(command), 0)
        )

    def incomplete(self, side: Arrival) -> Message:
        """A side whose partner did not come."""
        key = incomplete_key(side.side, side.version, side.image_id)
        return Message(outgoing=Outgoing(self._topics.incomplete, key, side.raw, side.partition), parks=side)

    def gone(self, parked: Parked) -> Message:
        """The end of a side that was incomplete: it was completed, or its image was erased or deleted."""
        key = incomplete_key(parked.side, parked.version, parked.image_id)
        return Message(outgoing=Outgoing(self._topics.incomplete, key, None, parked.partition))

    def write(self, messages: Sequence[Message]) -> list[Parked]:
        """Write everything and return, when it is durable, where the incomplete sides are. Raises LogUnavailableError:
        some may be written, so write all again."""
        # Tombstones last: what is parked must not go before the image it became part of is durable.
        written = [message for message in messages if message.outgoing.value is not None]
        removed = [message for message in messages if message.outgoing.value is None]
        offsets = self._producer.write([message.outgoing for message in written], "writing images")
        if removed:
            crash_point("join.after-images")
            self._producer.write([message.outgoing for message in removed], "taking away what is no longer incomplete")
        return [
            _parked(message.parks, offset)
            for message, offset in zip(written, offsets, strict=True)
            if message.parks is not None
        ]

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()


def _parked(side: Arrival, offset: int) -> Parked:
    return Parked(side=side.side, image_id=side.image_id, version=side.version, partition=side.partition, offset=offset)
