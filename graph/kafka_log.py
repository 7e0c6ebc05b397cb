"""The ledger and the proposals on Kafka: one partition each, in the one order of decisions."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from kafka import KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord

from neardup.errors import InvalidMessageError, LogUnavailableError
from neardup.kafka import Kafka, kafka_errors
from neardup.logs import PartitionReader
from neardup.messages import (
    ProposalRecord,
    RequeueRecord,
    decode_decision,
    encode_decision,
)
from neardup.topics import Topics
from neardup.types import Decision, Position, Proposal

__all__ = ["KafkaLedger", "KafkaLedgerWriter", "KafkaProposalLog"]


class KafkaLedger:
    """Port Ledger, the reading half: any number of readers."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._reader = PartitionReader(kafka, topics.ledger)

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Decision]]:
        """The decisions after a position."""
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

    def tail(self, count: int) -> list[tuple[Position, Decision]]:
        """The last decisions, at least `count` or all."""
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

    def append(self, decisions: Sequence[Decision], *, requeue: Sequence[Proposal] = ()) -> None:
        """Append decisions and ask for another search of the proposals in `requeue`: all or nothing.

        Raises FencedError or LogUnavailableError; after either this process must end.
        """
        if not decisions and not requeue:
            return
        with kafka_errors("writing the ledger"):
            self._producer.begin_transaction()
            sent = [
                self._producer.send(
                    self._topics.ledger,
                    key=decision.image_id.encode(),
                    value=encode_decision(decision),
                    partition=0,
                    timestamp_ms=decision.at_ms,
                )
                for decision in decisions
            ]
            for proposal in requeue:
                source = proposal.source
                record = RequeueRecord(
                    image_id=proposal.image_id, topic=source.topic, partition=source.partition, offset=source.offset
                )
                sent.append(
                    self._producer.send(self._topics.requeue, key=proposal.image_id.encode(), value=record.encode())
                )
            self._producer.flush(timeout=30)
            for future in sent:
                future.get(timeout=0)
            self._producer.commit_transaction()

    def close(self) -> None:
        """Close the connection; an open transaction is left to its time-out."""
        self._producer.close(timeout=5)


class KafkaProposalLog:
    """Port ProposalLog."""

    def __init__(self, kafka: Kafka, topics: Topics) -> None:
        self._kafka = kafka
        self._topic = topics.proposals
        self._producer: KafkaProducer | None = None
        self._reader: PartitionReader | None = None

    def append(self, proposals: Sequence[Proposal]) -> None:
        """Append; returns when every in-sync copy has them."""
        self._producer = self._producer or self._kafka.producer()
        with kafka_errors("writing proposals"):
            sent = [
                self._producer.send(
                    self._topic, key=proposal.image_id.encode(), value=ProposalRecord.of(proposal).encode(), partition=0
                )
                for proposal in proposals
            ]
            self._producer.flush(timeout=30)
            for future in sent:
                future.get(timeout=0)

    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Proposal]]:
        """The proposals from `offset` on; what the assigner put among the dead letters is passed over."""
        while records := self._cursor().read(offset, limit):
            if found := list(_proposals(records)):
                return found
            offset = records[-1].offset + 1
        return []

    def end(self) -> int:
        """The offset of the next proposal."""
        return self._cursor().end()

    def close(self) -> None:
        """Close the connections."""
        if self._producer:
            self._producer.close(timeout=5)
        if self._reader:
            self._reader.close()

    def _cursor(self) -> PartitionReader:
        self._reader = self._reader or PartitionReader(self._kafka, self._topic)
        return self._reader


def _proposals(records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, Proposal]]:
    for record in records:
        with suppress(InvalidMessageError):
            yield record.offset, ProposalRecord.decode(record.value).proposal()


def _entries(records: Sequence[ConsumerRecord]) -> list[tuple[Position, Decision]]:
    entries = []
    for record in records:
        decision = decode_decision(record.value)
        offset = record.offset
        position = Position(seq=decision.seq, ledger_offset=offset, proposal_offset=decision.proposal_offset)
        entries.append((position, decision))
    return entries
