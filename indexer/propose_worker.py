"""The propose role on Kafka: images and requeued images in, proposals out."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from indexer.propose import Proposer
from neardup.backlog import BacklogReader
from neardup.crashpoints import crash_point
from neardup.dead_letters import DeadLetters
from neardup.errors import InvalidMessageError, SearchUnavailableError
from neardup.group import GroupMember, PartitionsLostError, StoppedError
from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.messages import ImageRecord
from neardup.ports import CandidateSearch, ProposalLog
from neardup.records import RequeueRecord
from neardup.settings import IngestSettings
from neardup.topics import Topics
from neardup.types import Image, Proposal, Source

__all__ = ["ProposeWorker"]

_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Batch:
    """Images by how deep they are to be searched, None for the usual depth."""

    images: dict[int | None, list[tuple[Source, Image]]]
    commit: dict[TopicPartition, int]


class ProposeWorker:
    """One member of the group of proposers."""

    def __init__(
        self,
        kafka: Kafka,
        topics: Topics,
        *,
        settings: IngestSettings,
        proposer: Proposer,
        search: CandidateSearch,
        proposals: ProposalLog,
        backlog: BacklogReader,
        dead_letters: DeadLetters,
        instance_id: str | None,
        stop: threading.Event,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._settings = settings
        self._proposer = proposer
        self._search = search
        self._proposals = proposals
        self._backlog = backlog
        self._dead_letters = dead_letters
        self._stop = stop
        self._room_until = 0.0
        self._readers: dict[tuple[str, int], PartitionReader] = {}
        self._member = GroupMember(
            kafka,
            topics=[topics.images, topics.requeue],
            group=topics.group("propose"),
            instance_id=instance_id,
            stop=stop,
            linger_ms=settings.linger_ms,
        )

    def run(self) -> None:
        """Propose until stopped."""
        member = self._member
        try:
            while not self._stop.is_set():
                records = member.poll(timeout_ms=100, max_records=self._settings.batch_images)
                try:
                    if not records:
                        # Requeued and erased images come in transactions.
                        member.commit_finished()
                        continue
                    batch = member.retrying("reading images", partial(self._read, records))
                    member.retrying("writing dead letters", self._dead_letters.flush)
                    member.retrying("waiting for the assigner", self._wait_for_room)
                    proposed = member.retrying("proposing", partial(self._propose, batch))
                    member.retrying("writing proposals", partial(self._proposals.append, proposed))
                    crash_point("propose.after-append")
                    member.commit(batch.commit)
                except PartitionsLostError:
                    continue
        except StoppedError:
            pass
        finally:
            member.close()

    def _read(self, records: Sequence[ConsumerRecord]) -> _Batch:
        images: dict[int | None, list[tuple[Source, Image]]] = {}
        commit: dict[TopicPartition, int] = {}
        for record in records:
            commit[TopicPartition(record.topic, record.partition)] = record.offset + 1
            depth: int | None = None
            try:
                if record.topic == self._topics.requeue:
                    reference = RequeueRecord.decode(record.value)
                    entry, depth = self._requeued(reference), reference.candidate_limit
                else:
                    entry = _image(record)
                if entry is None:
                    continue
                self._proposer.validate(entry[1])
            except InvalidMessageError as exc:
                self._dead_letters.send(record, exc)
            else:
                self._dead_letters.accepted()
                images.setdefault(depth, []).append(entry)
        return _Batch(images=images, commit=commit)

    def _requeued(self, reference: RequeueRecord) -> tuple[Source, Image] | None:
        """The image that a requeue record refers to; None when a newer version has replaced it, or it was erased."""
        place = (reference.topic, reference.partition)
        if place not in self._readers:
            self._readers[place] = PartitionReader(self._kafka, *place)
        found = self._readers[place].read(reference.offset, 1)
        kept = _image(found[0]) if found and found[0].offset == reference.offset else None
        return None if kept is None else (kept[0], replace(kept[1], run=reference.run))

    def _propose(self, batch: _Batch) -> list[Proposal]:
        return [
            proposal
            for depth, images in batch.images.items()
            for proposal in self._proposer.propose(images, candidate_limit=depth)
        ]

    def _wait_for_room(self) -> None:
        """Raises SearchUnavailableError while too many proposals wait: the assigner's memory must reach back to what a
        search covered. The memory is far larger than the limit, so a look now and then is enough."""
        if time.monotonic() < self._room_until:
            return
        behind = self._backlog.undecided() + self._backlog.unapplied(self._search.position())
        if behind > self._settings.backlog_limit:
            raise SearchUnavailableError(f"{behind} proposals are not decided and indexed yet")
        self._room_until = time.monotonic() + _LOOK_SECONDS


def _image(record: ConsumerRecord) -> tuple[Source, Image] | None:
    if record.value is None:
        return None
    source = Source(topic=record.topic, partition=record.partition, offset=record.offset)
    return source, ImageRecord.decode(record.value).image()
