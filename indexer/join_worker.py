"""The join role on Kafka: both embedding topics in, complete images out, and what producers delete."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from indexer.deletion import deletion
from indexer.incomplete_sides import IncompleteSides
from indexer.join import Arrival, Join, Pair, Parked, Side, image_of
from indexer.join_output import JoinOutput, Message
from neardup.commands import Command, named_by
from neardup.crashpoints import crash_point
from neardup.dead_letters import DeadLetters
from neardup.errors import InvalidMessageError
from neardup.group import GroupMember, PartitionsLostError, StoppedError
from neardup.kafka import Kafka, kafka_errors
from neardup.messages import EmbeddingMessage
from neardup.ports import Clock, ClusterStore, StandingLog
from neardup.settings import IngestSettings
from neardup.standing import ErasedImages
from neardup.topics import Topics
from neardup.types import ImageId, Source

__all__ = ["JoinWorker"]

_log = structlog.get_logger("join")

_ASK_EVERY_MS = 1000
_EXPIRE_EVERY_MS = 200


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
        self._expire_at_ms = 0
        self._forgets = False
        self._remembers_anew = False
        self._sides = {topics.lsh_embeddings: Side.LSH, topics.score_embeddings: Side.SCORE}
        self._join = Join(
            grace_ms=int(settings.grace_seconds * 1000),
            limit=settings.join_limit,
            parked_limit=settings.incomplete_limit,
        )
        self._output = JoinOutput(kafka, topics)
        self._incomplete = IncompleteSides(kafka, topics)
        self._member = GroupMember(
            kafka,
            topics=list(self._sides),
            group=topics.group("join"),
            instance_id=instance_id,
            stop=stop,
            linger_ms=settings.linger_ms,
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
                        crash_point("join.before-write")
                        member.retrying("writing images", partial(self._write, sent))
                    member.retrying("writing dead letters", self._dead_letters.flush)
                    if sent:
                        crash_point("join.before-commit")
                    self._commit()
                except PartitionsLostError:
                    continue
        except StoppedError:
            pass
        finally:
            member.close()
            self._output.close()
            self._incomplete.close()

    def _assigned(self, partitions: Sequence[TopicPartition]) -> None:
        with kafka_errors("reading the ends of the embeddings"):
            self._written_before |= self._member.consumer.end_offsets(list(partitions), timeout_ms=5000)
        self._remembers_anew = True
        for number in sorted({partition.partition for partition in partitions}):
            for entry in self._incomplete.entries(number):
                if isinstance(entry, Parked):
                    self._park(entry)
                else:
                    self._join.unpark(*entry)

    def _park(self, parked: Parked) -> None:
        forgotten = self._join.park(parked)
        if forgotten is not None and not self._forgets:
            self._forgets = True
            _log.warning("too many incomplete images to remember all; the oldest are not completed by a late partner")

    def _revoked(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._written_before.pop(partition, None)
            self._committed.pop(partition, None)
        for number in {partition.partition for partition in partitions}:
            self._join.forget(number)

    def _take(self, records: Sequence[ConsumerRecord]) -> list[Message]:
        sent: list[Message] = []
        deleted: set[ImageId] = set()
        for record in records:
            side = self._sides[record.topic]
            try:
                read = self._read(side, record)
            except InvalidMessageError as exc:
                self._dead_letters.send(record, exc)
                self._join.skip(side, record.partition, record.offset, record.timestamp)
                continue
            self._dead_letters.accepted()
            if isinstance(read, Command):
                deleted.update(named_by(read.body))
                sent.append(self._output.command(read))
            elif read.image_id not in deleted and read.image_id not in self._erased:
                pair = self._join.add(read)
                if pair is not None:
                    sent += self._complete(pair)
                continue
            self._join.skip(side, record.partition, record.offset, record.timestamp)
        return sent + (self._drop(deleted.__contains__) if deleted else [])

    def _read(self, side: Side, record: ConsumerRecord) -> Arrival | Command:
        if record.value is not None:
            return self._arrival(side, record)
        source = Source(topic=record.topic, partition=record.partition, offset=record.offset)
        return deletion(record.key, source, at_ms=record.timestamp)

    def _drop(self, gone: Callable[[ImageId], bool]) -> list[Message]:
        """Nothing waits for these images any more, and what was kept of them goes."""
        return [self._output.gone(parked) for parked in self._join.drop(gone)]

    def _complete(self, pair: Pair) -> list[Message]:
        """The image of a pair, and the end of what was kept of it as incomplete."""
        arrival, partner = pair.arrival, pair.partner
        if isinstance(partner, Parked):
            kept = self._member.retrying("reading an incomplete image", partial(self._kept, partner))
            if kept is None:
                # Somebody removed it: then this side is the one that waits.
                self._join.add(arrival)
                return []
            partner = kept
        sent = [self._output.image(image_of(arrival, partner), arrival.partition)]
        if pair.parked is not None:
            sent.append(self._output.gone(pair.parked))
        return sent

    def _kept(self, parked: Parked) -> Arrival | None:
        """The side that is kept in the topic of incomplete images."""
        record = self._incomplete.record(parked)
        return None if record is None else self._arrival(parked.side, record)

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

    def _drop_erased(self) -> list[Message]:
        """Once a second, see whether images were erased.

        What was joined in that second comes to the assigner, who knows and removes it again.
        """
        now = self._clock.now_ms()
        if now < self._look_at_ms:
            return []
        self._look_at_ms = now + _ASK_EVERY_MS
        changes = self._member.retrying("looking for erased images", self._standing.changes)
        self._erased.apply(changes)
        if not self._erased or not (changes or self._remembers_anew):
            return []
        self._remembers_anew = False
        return self._drop(self._erased.__contains__)

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
                self._join.expire(arrival)

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

    def _expire(self) -> list[Message]:
        """The sides whose partner did not come in time, or that there is no room for, as messages for the topic of
        incomplete images."""
        surplus = self._join.surplus()
        if surplus:
            return self._give_up(surplus, "no room to wait for the other embedding")
        now = self._clock.now_ms()
        if now < self._expire_at_ms or not self._join.waiting:
            return []
        self._expire_at_ms = now + _EXPIRE_EVERY_MS
        for partition in self._member.read_to_end():
            self._join.advance(self._sides[partition.topic], partition.partition, now)
        return self._give_up(self._join.expired(), "image incomplete")

    def _give_up(self, late: Sequence[Arrival], event: str) -> list[Message]:
        decided = self._decided(late)
        sent: list[Message] = []
        for arrival in late:
            self._join.expire(arrival)
            if arrival.key not in decided:
                missing = arrival.side.partner
                _log.warning(event, image_id=arrival.image_id, version=arrival.version, missing=missing)
                sent.append(self._output.incomplete(arrival))
        return sent

    def _balance(self) -> None:
        """A flood of one side waits in the log, not in memory."""
        crowded = self._join.crowded()
        consumer = self._member.consumer
        paused = consumer.paused()
        if not crowded and not paused:
            return
        for partition in consumer.assignment():
            if self._sides[partition.topic] in crowded:
                consumer.pause(partition)
            elif partition in paused:
                consumer.resume(partition)

    def _write(self, messages: Sequence[Message]) -> None:
        for parked in self._output.write(messages):
            self._park(parked)

    def _commit(self) -> None:
        offsets = {}
        for partition in self._member.consumer.assignment():
            passed = self._member.passed(partition)
            if passed is None:
                continue
            offset = self._join.committable(self._sides[partition.topic], partition.partition, passed=passed)
            if offset is not None and offset != self._committed.get(partition):
                offsets[partition] = offset
        self._member.commit(offsets)
        self._committed |= offsets
