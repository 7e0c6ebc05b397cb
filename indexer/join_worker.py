"""The join role on Kafka: both embedding topics in, complete images out."""

import threading
from collections.abc import Sequence
from functools import partial

import structlog
from kafka import KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from indexer.join import Arrival, Join, Side
from neardup.dead_letters import DeadLetters
from neardup.errors import InvalidMessageError
from neardup.group import GroupMember, PartitionsLostError, StoppedError
from neardup.kafka import Kafka, kafka_errors
from neardup.logs import PartitionReader
from neardup.messages import EmbeddingMessage, ImageRecord
from neardup.ports import Clock, ClusterStore, StandingLog
from neardup.settings import IngestSettings
from neardup.standing import ErasedImages
from neardup.topics import Topics
from neardup.types import Image, ImageId

__all__ = ["JoinWorker"]

_log = structlog.get_logger("join")

_ASK_EVERY_MS = 1000


class JoinWorker:
    """One member of the group of joiners. The worker's memory is the log: what waits is read again after a restart."""

    def __init__(
        self,
        kafka: Kafka,
        topics: Topics,
        *,
        settings: IngestSettings,
        dimensions: tuple[int, int],
        store: ClusterStore,
        standing: StandingLog,
        dead_letters: DeadLetters,
        clock: Clock,
        instance_id: str | None,
        stop: threading.Event,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._settings = settings
        self._dimensions = dict(zip((Side.LSH, Side.SCORE), dimensions, strict=True))
        self._store = store
        self._standing = standing
        self._erased = ErasedImages()
        self._dead_letters = dead_letters
        self._clock = clock
        self._stop = stop
        self._written_before: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._ask_at_ms = 0
        self._look_at_ms = 0
        self._sides = {topics.lsh_embeddings: Side.LSH, topics.score_embeddings: Side.SCORE}
        self._join = Join(grace_ms=int(settings.grace_seconds * 1000))
        self._producer: KafkaProducer = kafka.producer()
        self._member = GroupMember(
            kafka,
            topics=list(self._sides),
            group=topics.group("join"),
            instance_id=instance_id,
            stop=stop,
        )
        self._member.on_assigned = self._assigned
        self._member.on_revoked = self._revoked

    def run(self) -> None:
        """Join until stopped."""
        member = self._member
        try:
            while not self._stop.is_set():
                self._balance()
                records = member.poll(timeout_ms=100, max_records=500)
                try:
                    sent = self._drop_erased()
                    sent += self._take(records)
                    self._drop_decided()
                    sent += self._expire()
                    if sent:
                        member.retrying("writing images", partial(self._write, sent))
                    self._dead_letters.flush()
                    self._commit()
                except PartitionsLostError:
                    continue
        except StoppedError:
            pass
        finally:
            member.close()
            self._producer.close(timeout=5)

    def _assigned(self, partitions: Sequence[TopicPartition]) -> None:
        with kafka_errors("reading the ends of the embeddings"):
            self._written_before |= self._member.consumer.end_offsets(list(partitions), timeout_ms=5000)
        for number in sorted({partition.partition for partition in partitions}):
            reader = PartitionReader(self._kafka, self._topics.incomplete, number)
            offset = reader.start()
            while records := reader.read(offset, 500):
                for record in records:
                    self._park(record)
                offset = records[-1].offset + 1
            reader.close()

    def _park(self, record: ConsumerRecord) -> None:
        side, version, image_id = record.key.decode().split(" ", 2)
        if record.value is None:
            self._join.unpark(ImageId(image_id), int(version))
        else:
            self._join.park(self._arrival(Side(side), record))

    def _revoked(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._written_before.pop(partition, None)
            self._committed.pop(partition, None)
        for number in {partition.partition for partition in partitions}:
            self._join.forget(number)

    def _take(self, records: Sequence[ConsumerRecord]) -> list[tuple[str, bytes, bytes | None, int]]:
        sent: list[tuple[str, bytes, bytes | None, int]] = []
        for record in records:
            side = self._sides[record.topic]
            try:
                arrival = self._arrival(side, record)
            except InvalidMessageError as exc:
                self._dead_letters.send(record, exc)
                self._join.skip(side, record.partition, record.offset, record.timestamp)
                continue
            self._dead_letters.accepted()
            if arrival.image_id in self._erased:
                self._join.skip(side, record.partition, record.offset, record.timestamp)
                continue
            joined = self._join.add(arrival)
            if joined is not None:
                image, parked = joined
                sent.append(self._image(image, record.partition))
                if parked is not None:
                    sent.append((self._topics.incomplete, _parked_key(parked), None, parked.partition))
        return sent

    def _image(self, image: Image, partition: int) -> tuple[str, bytes, bytes | None, int]:
        return self._topics.images, image.image_id.encode(), ImageRecord.of(image).encode(), partition

    def _arrival(self, side: Side, record: ConsumerRecord) -> Arrival:
        message = EmbeddingMessage.decode(record.value)
        wanted = self._dimensions[side]
        if message.embedding.shape != (wanted,):
            raise InvalidMessageError(
                f"dimension {message.embedding.shape[0]}, this namespace takes {wanted}", field="embedding"
            )
        return Arrival(
            side=side,
            image_id=ImageId(message.image_id),
            version=message.version,
            embedding=message.embedding,
            metadata=dict(message.metadata),
            partition=record.partition,
            offset=record.offset,
            at_ms=record.timestamp,
            raw=record.value,
        )

    def _drop_erased(self) -> list[tuple[str, bytes, bytes | None, int]]:
        """Once a second, see whose images were erased: they wait no longer, and what was kept of them goes.

        What was joined in that second comes to the assigner, who knows and removes it again.
        """
        now = self._clock.now_ms()
        if now < self._look_at_ms:
            return []
        self._look_at_ms = now + _ASK_EVERY_MS
        self._erased.apply(self._member.retrying("looking for erased images", self._standing.changes))
        gone = self._join.drop(self._erased.__contains__) if self._erased else []
        return [(self._topics.incomplete, _parked_key(arrival), None, arrival.partition) for arrival in gone]

    def _drop_decided(self) -> None:
        """Stop waiting for partners that came before this worker did.

        A predecessor that died may have joined one side of an image and left the other to be read again. Only sides
        written before the assignment can be such; they are looked up once a second until they are decided.
        """
        now = self._clock.now_ms()
        if now < self._ask_at_ms:
            return
        self._ask_at_ms = now + _ASK_EVERY_MS
        read_again = [
            arrival
            for partition, end in self._written_before.items()
            for arrival in self._join.waiting_before(self._sides[partition.topic], partition.partition, end)
        ]
        decided = self._decided(read_again)
        for arrival in read_again:
            if arrival.key in decided:
                self._join.expire(arrival, park=False)

    def _decided(self, arrivals: Sequence[Arrival]) -> set[tuple[ImageId, int]]:
        """The keys of those whose image has been decided in this version or a newer one."""
        if not arrivals:
            return set()
        ids = list({arrival.image_id for arrival in arrivals})
        placements = self._member.retrying("asking what is decided", partial(self._store.placements, ids))
        return {
            arrival.key
            for arrival in arrivals
            if arrival.image_id in placements and placements[arrival.image_id].version >= arrival.version
        }

    def _expire(self) -> list[tuple[str, bytes, bytes | None, int]]:
        """The sides whose partner did not come in time, as messages for the topic of incomplete images."""
        consumer = self._member.consumer
        now = self._clock.now_ms()
        for partition in consumer.assignment():
            if partition not in consumer.paused() and self._caught_up(partition):
                self._join.advance(self._sides[partition.topic], partition.partition, now)
        late = self._join.expired()
        if not late:
            return []
        decided = self._decided(late)
        sent: list[tuple[str, bytes, bytes | None, int]] = []
        for arrival in late:
            self._join.expire(arrival, park=arrival.key not in decided)
            if arrival.key not in decided:
                _log.warning(
                    "image incomplete", image_id=arrival.image_id, version=arrival.version, missing=arrival.side.partner
                )
                sent.append((self._topics.incomplete, _parked_key(arrival), arrival.raw, arrival.partition))
        return sent

    def _caught_up(self, partition: TopicPartition) -> bool:
        consumer = self._member.consumer
        highwater = consumer.highwater(partition)
        return highwater is not None and consumer.position(partition, timeout_ms=1000) >= highwater

    def _balance(self) -> None:
        """A flood of one side waits in the log, not in memory: the side that is ahead pauses."""
        ahead = max(Side, key=self._join.waiting_of)
        flooded = self._join.waiting_of(ahead) >= self._settings.join_limit
        consumer = self._member.consumer
        for partition in consumer.assignment():
            if flooded and self._sides[partition.topic] is ahead:
                consumer.pause(partition)
            elif partition in consumer.paused():
                consumer.resume(partition)

    def _write(self, messages: Sequence[tuple[str, bytes, bytes | None, int]]) -> None:
        # Images before tombstones: what is parked must not go before the image it became part of is durable.
        written = [message for message in messages if message[2] is not None]
        removed = [message for message in messages if message[2] is None]
        for some in filter(None, (written, removed)):
            with kafka_errors("writing images"):
                futures = [
                    self._producer.send(topic, key=key, value=value, partition=partition)
                    for topic, key, value, partition in some
                ]
                self._producer.flush(timeout=30)
                for future in futures:
                    future.get(timeout=0)

    def _commit(self) -> None:
        offsets = {}
        for partition in self._member.consumer.assignment():
            offset = self._join.committable(self._sides[partition.topic], partition.partition)
            if offset is not None and offset != self._committed.get(partition):
                offsets[partition] = offset
        self._member.commit(offsets)
        self._committed |= offsets


def _parked_key(arrival: Arrival) -> bytes:
    return f"{arrival.side} {arrival.version} {arrival.image_id}".encode()
