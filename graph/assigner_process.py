"""The assigner on Kafka: elected by a consumer group of one partition, fenced by its transactional id.

It ends on any error it cannot wait out; the supervisor starts it again. A producer that was fenced or whose transaction
failed is never initialised again in the same process: that could fence the rightful one.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from graph.assigner import Assigner
from graph.kafka_log import KafkaLedger, KafkaLedgerWriter, KafkaProposalLog
from graph.outcome import AssignerRules
from graph.restore import restore
from graph.standing import Standing
from neardup.commands import Request
from neardup.crashpoints import crash_point
from neardup.dead_letters import DeadLetters
from neardup.errors import ClusterStoreUnavailableError, FencedError, InvalidMessageError, LogUnavailableError
from neardup.group import GroupMember, PartitionsLostError, StoppedError
from neardup.kafka import Kafka
from neardup.ports import CandidateSearch, Clock, ClusterStore, PairScorer
from neardup.records import decode_request
from neardup.settings import AssignSettings
from neardup.standing import EraseKey, StandingChange, key_of
from neardup.standing_log import KafkaStandingLog
from neardup.topics import Topics
from neardup.types import Position
from neardup.watchdog import EXIT_HUNG

__all__ = ["AssignerProcess"]

_log = structlog.get_logger("assigner")

_COMMIT_SECONDS = 10.0
_ABSENT_SECONDS = 8.0


class AssignerProcess:
    """Waits to be elected, then decides until it is stopped or must end."""

    def __init__(
        self,
        kafka: Kafka,
        topics: Topics,
        *,
        dead_letters: DeadLetters,
        settings: AssignSettings,
        rules: AssignerRules,
        store: ClusterStore,
        search: CandidateSearch,
        scorer: PairScorer,
        clock: Clock,
        instance_id: str | None,
        stop: threading.Event,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._dead_letters = dead_letters
        self._settings = settings
        self._rules = rules
        self._store = store
        self._search = search
        self._scorer = scorer
        self._clock = clock
        self._stop = stop
        self._partition = TopicPartition(topics.proposals, 0)
        self._next: int | None = None
        self._member = GroupMember(
            kafka,
            topics=[topics.proposals],
            group=topics.group("assigner"),
            instance_id=instance_id,
            stop=stop,
            session_timeout_ms=settings.session_timeout_ms,
            linger_ms=settings.linger_ms,
        )
        self._member.on_assigned = lambda _: self._resume()

    def run(self) -> None:
        """Decide until stopped. Raises FencedError, LogUnavailableError, IncompatibleIndexError: end the process."""
        try:
            if self._wait_for_election():
                self._decide_for_good()
        except StoppedError:
            pass
        except PartitionsLostError as exc:
            raise FencedError("the partition of proposals went to another assigner") from exc
        finally:
            self._member.close()

    def _resume(self) -> None:
        """After a rebalance that gave the partition back: go on where deciding stands, not at the committed offset.

        Should another assigner have been elected in between, it has fenced this one, and the next append says so.
        Proposers that wait for a backlog to shrink, and who waits for its end, read the committed offset. It must not
        stay behind what is decided: after a rebalance, or after a predecessor that died before its commit.
        """
        if self._next is not None:
            self._member.go_on(self._partition, self._next)

    def _wait_for_election(self) -> bool:
        while not self._stop.is_set():
            self._member.poll(timeout_ms=100, max_records=1)
            if self._member.assigned:
                return True
        return False

    def _decide_for_good(self) -> None:
        member = self._member
        # First fence every predecessor and end its open transaction, only then is the end of the ledger its end.
        writer = KafkaLedgerWriter(self._kafka, self._topics)
        crash_point("assign.after-fence")
        ledger = KafkaLedger(self._kafka, self._topics)
        proposals = KafkaProposalLog(self._kafka, self._topics)
        words = KafkaStandingLog(self._kafka, self._topics)
        past = member.retrying(
            "restoring the memory",
            lambda: restore(ledger, proposals, self._search, window=self._settings.window),
        )
        standing = _standing(words, writer)
        for log in (ledger, proposals, words):
            log.close()
        last = past.last
        member.retrying("waiting for the graph", lambda: self._graph_has(last))
        assigner = Assigner(
            store=self._store,
            search=self._search,
            scorer=self._scorer,
            rules=self._rules,
            past=past,
            standing=standing,
            clock=self._clock,
        )
        self._next = last.proposal_offset + 1
        self._resume()
        _log.info("assigner elected", seq=last.seq, proposal_offset=last.proposal_offset)
        absent_since = time.monotonic()
        while not self._stop.is_set():
            records = member.poll(timeout_ms=100, max_records=self._settings.batch_proposals)
            if member.assigned:
                absent_since = time.monotonic()
            elif time.monotonic() - absent_since > _ABSENT_SECONDS:
                raise FencedError("the partition of proposals went to another assigner")
            try:
                batch = [entry for entry in self._decode(records) if entry[0] >= self._next]
                while batch:
                    outcome = member.retrying("deciding", partial(assigner.decide, batch))
                    crash_point("assign.after-decide")
                    with _deadline(_COMMIT_SECONDS):
                        writer.append(
                            outcome.entries,
                            requeue=outcome.requeue,
                            standing=outcome.standing,
                            erased=outcome.erased,
                        )
                    crash_point("assign.after-commit")
                    self._next = outcome.next_offset
                    batch = [entry for entry in batch if entry[0] >= self._next]
            except PartitionsLostError:
                continue  # read again from where deciding stands
            if records and member.assigned:
                # Only for people who look at the lag: where to start is read from the ledger.
                self._next = max(self._next, records[-1].offset + 1)
                member.commit({self._partition: self._next})

    def _decode(self, records: Sequence[ConsumerRecord]) -> list[tuple[int, Request]]:
        batch = []
        for record in records:
            try:
                batch.append((record.offset, decode_request(record.value)))
            except InvalidMessageError as exc:
                self._dead_letters.send(record, exc)
            else:
                self._dead_letters.accepted()
        self._member.retrying("writing dead letters", self._dead_letters.flush)
        return batch

    def _graph_has(self, last: Position) -> None:
        applied = self._store.position().seq
        if applied > last.seq:
            raise LogUnavailableError(f"the graph has applied seq {applied}, the ledger ends at {last.seq}")
        if applied < last.seq:
            raise ClusterStoreUnavailableError(f"the graph has applied seq {applied} of {last.seq}")


def _standing(words: KafkaStandingLog, writer: KafkaLedgerWriter) -> Standing:
    """The standing words. The first assigner of a namespace makes the key under which erased images are kept."""
    changes = words.changes()
    standing = Standing(changes)
    if not standing.has_erase_key:
        key = EraseKey(key=secrets.token_hex(32))
        made = [StandingChange(key=key_of(key), word=key)]
        writer.append([], standing=made)
        standing = Standing([*changes, *made])
    return standing


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """A commit has no time-out of its own; one that hangs would hold the partition for good, so the process ends. By
    then the broker has given the transaction up as well (`transaction.timeout.ms`)."""

    def end() -> None:
        _log.error("a transaction did not come to an end, ending this process", seconds=seconds)
        os._exit(EXIT_HUNG)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
