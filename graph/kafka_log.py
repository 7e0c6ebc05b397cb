"""The ledger and the proposals on Kafka: one partition each, in the one order of decisions."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord

from neardup.commands import Command, Request
from neardup.crashpoints import crash_point
from neardup.entries import Entry
from neardup.errors import InvalidMessageError, LogUnavailableError
from neardup.kafka import Kafka, Outgoing, RenewedProducer, kafka_errors
from neardup.logs import PartitionReader
from neardup.records import (
    RequeueRecord,
    decode_entry,
    decode_request,
    encode_change,
    encode_entry,
    encode_request,
)
from neardup.standing import StandingChange
from neardup.topics import Topics
from neardup.types import ImageId, Position, Requeue

__all__ = ["KafkaLedger", "KafkaLedgerWriter", "KafkaProposalLog"]


class KafkaLedger:
    """Port Ledger, the reading half: any number of readers. `wait_ms`: how long a look behind the last entry waits for
    another."""

    def __init__(self, kafka: Kafka, topics: Topics, *, wait_ms: int = 200) -> None:
        self._reader = PartitionReader(kafka, topics.ledger, wait_ms=wait_ms)

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Entry]]:
        """The entries after a position."""
        entries = _entries(self._reader.read(after.ledger_offset + 1, limit))
        if entries and entries[0][1].seq != after.seq + 1:
            raise LogUnavailableError(
                f"the ledger continues with seq {entries[0][1].seq} after {after.seq} "
                f"(offset {after.ledger_offset}): it is not the ledger this position was taken from"
            )
        return entries

    def end(self) -> int:
        """The offset behind the last committed entry, transaction markers counted."""
        return self._reader.end()

    def tail(self, count: int) -> list[tuple[Position, Entry]]:
        """The last entries, at least `count` or all."""
        return _entries(self._reader.tail(count))

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()


class KafkaLedgerWriter:
    """The writing half: one at a time, fenced by its transactional id."""

    def __init__(self, kafka: Kafka, topics: Topics, *, transaction_timeout_ms: int = 10_000) -> None:
        self._topics = topics
        self._producer: KafkaProducer = kafka.producer(
            transactional_id=topics.group("assigner"), transaction_timeout_ms=transaction_timeout_ms, linger_ms=0
        )
        with kafka_errors("taking over the ledger"):
            self._producer.init_transactions()

    def append(
        self,
        entries: Sequence[Entry],
        *,
        requeue: Sequence[Requeue] = (),
        standing: Sequence[StandingChange] = (),
        erased: Sequence[ImageId] = (),
    ) -> None:
        """Append entries, ask for another search of the proposals in `requeue`, change the standing words and remove
        erased images from the topic of images: all or nothing.

        Raises FencedError or LogUnavailableError; after either this process must end.
        """
        if not (entries or requeue or standing or erased):
            return
        with kafka_errors("writing the ledger"):
            # Which partition holds an image depends on its producers: a tombstone in each costs little.
            partitions = self._producer.partitions_for(self._topics.images) if erased else ()
            self._producer.begin_transaction()
            sent = [
                self._producer.send(
                    self._topics.ledger, value=encode_entry(entry), partition=0, timestamp_ms=entry.at_ms
                )
                for entry in entries
            ]
            sent += [self._requeue(request) for request in requeue]
            for change in standing:
                key, value = encode_change(change)
                sent.append(self._producer.send(self._topics.standing, key=key, value=value, partition=0))
            sent += [
                self._producer.send(self._topics.images, key=image_id.encode(), value=None, partition=partition)
                for image_id in erased
                for partition in partitions
            ]
            self._producer.flush(timeout=30)
            for future in sent:
                future.get(timeout=0)
            crash_point("assign.after-send")
            self._producer.commit_transaction()

    def _requeue(self, request: Requeue) -> Any:
        image_id, source = request.proposal.image_id, request.proposal.source
        record = RequeueRecord(
            image_id=image_id,
            topic=source.topic,
            partition=source.partition,
            offset=source.offset,
            candidate_limit=request.candidate_limit,
            run=request.proposal.run,
        )
        return self._producer.send(self._topics.requeue, key=image_id.encode(), value=record.encode())

    def close(self) -> None:
        """Close the connection; an open transaction is left to its time-out."""
        self._producer.close(timeout=5)


class KafkaProposalLog:
    """Port ProposalLog."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._kafka = kafka
        self._topic = topics.proposals
        self._producer = RenewedProducer(kafka.producer)
        self._reader: PartitionReader | None = None

    def append(self, requests: Sequence[Request]) -> None:
        """Append; returns when every in-sync copy has them. Raises InvalidMessageError for a command that is not
        valid: nothing was written then."""
        messages = [Outgoing(self._topic, _key_of(request), encode_request(request), 0) for request in requests]
        self._producer.write(messages, "writing proposals")

    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Request]]:
        """The requests from `offset` on; what the assigner put among the dead letters is passed over."""
        while records := self._cursor().read(offset, limit):
            if found := list(_requests(records)):
                return found
            offset = records[-1].offset + 1
        return []

    def end(self) -> int:
        """The offset of the next request."""
        return self._cursor().end()

    def close(self) -> None:
        """Close the connections."""
        self._producer.close()
        if self._reader:
            self._reader.close()

    def _cursor(self) -> PartitionReader:
        self._reader = self._reader or PartitionReader(self._kafka, self._topic)
        return self._reader


def _key_of(request: Request) -> bytes:
    return (request.command_id if isinstance(request, Command) else request.image_id).encode()


def _requests(records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, Request]]:
    for record in records:
        with suppress(InvalidMessageError):
            yield record.offset, decode_request(record.value)


def _entries(records: Sequence[ConsumerRecord]) -> list[tuple[Position, Entry]]:
    entries = []
    for record in records:
        entry = decode_entry(record.value)
        position = Position(seq=entry.seq, ledger_offset=record.offset, proposal_offset=entry.proposal_offset)
        entries.append((position, entry))
    return entries
