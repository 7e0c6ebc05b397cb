"""A member of a Kafka consumer group that keeps its membership while it waits for an engine."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog
from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import CommitFailedError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata

from neardup.backoff import BackOff
from neardup.errors import ConfigError, FencedError, LogUnavailableError, RateLimitedError, UnavailableError
from neardup.kafka import ANSWER_MS, Kafka, kafka_errors, set_fetch_wait
from neardup.watchdog import Watchdog

__all__ = ["GroupMember", "PartitionsLostError", "StoppedError"]

_log = structlog.get_logger("group")
_T = TypeVar("_T")
_TOPICS_WITHIN_SECONDS = 15.0
_QUIET_SECONDS = 20.0
_UNANSWERED = 3
_ASK_ENDS_SECONDS = 1.0
_ENOUGH_BYTES = 64 * 1024
_IDLE_WAIT_MS = 500
_IDLE_AFTER_SECONDS = 1.0
_COMMIT_SECONDS = 0.25
"""Time between two commits: each costs both sides milliseconds, and all it spares is reading again after a crash."""


class PartitionsLostError(Exception):
    """The group was rebalanced while a batch was in work: drop the batch, its records will be read again."""


class StoppedError(Exception):
    """The process was told to stop while it waited."""


class GroupMember(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads `topics` as one of `group`, partitions assigned by range so that equal numbers stay together.

    `instance_id` makes the membership static: a restart within the session time-out gets its partitions back at once.
    `on_assigned` is called by `poll` before it returns records of new partitions, `on_revoked` inside the client's own
    callback: it must not ask the brokers anything. `linger_ms`: while records keep coming, the longest time that one
    waits for others to be read with it, unless there are many.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        topics: Sequence[str],
        group: str,
        instance_id: str | None,
        stop: threading.Event,
        session_timeout_ms: int = 10_000,
        linger_ms: int = 0,
    ) -> None:
        self.consumer = kafka.consumer(
            group_id=group,
            group_instance_id=instance_id,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=min(1000, session_timeout_ms // 4),
            partition_assignment_strategy=(RangePartitionAssignor,),
            fetch_max_wait_ms=_IDLE_WAIT_MS,
        )
        self._group = group
        self._stop = stop
        self._generation = 0
        self._newly_assigned: list[TopicPartition] = []
        self._finished: dict[TopicPartition, int] = {}
        self._uncommitted: dict[TopicPartition, int] = {}
        self._commit_at = 0.0
        self._watchdog = Watchdog(group)
        self._quiet_since = time.monotonic()
        self._behind = False
        self._unanswered = 0
        self._linger_ms = linger_ms
        self._lingers = False
        self._idle_at = 0.0
        self._ask_ends_at = 0.0
        self.on_revoked: Callable[[Sequence[TopicPartition]], None] = lambda _: None
        self.on_assigned: Callable[[Sequence[TopicPartition]], None] = lambda _: None
        with kafka_errors(f"joining group {group}"):
            self._await_topics(topics)
            self.consumer.subscribe(list(topics), listener=self)

    def _await_topics(self, topics: Sequence[str]) -> None:
        """A member that joins before it has seen the topics would assign nothing, and stay so for a long time."""
        deadline = time.monotonic() + _TOPICS_WITHIN_SECONDS
        for topic in topics:
            while not self.consumer.partitions_for_topic(topic):
                if time.monotonic() > deadline:
                    raise ConfigError(f"topic {topic} does not exist; create the topics with: neardup setup")
                time.sleep(0.1)

    def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Called by the client inside poll."""
        self._generation += 1
        self._newly_assigned = []
        self._finished = {}
        self._uncommitted = {}
        if revoked:
            self.on_revoked(revoked)

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Called by the client inside poll."""
        self._generation += 1
        _log.info(
            "partitions assigned", group=self._group, partitions=sorted(f"{t.topic}/{t.partition}" for t in assigned)
        )
        self._newly_assigned += assigned

    @property
    def assigned(self) -> bool:
        """Whether this member holds any partition."""
        return bool(self.consumer.assignment())

    def poll(self, *, timeout_ms: int, max_records: int) -> list[ConsumerRecord]:
        """The next records of all partitions. Raises LogUnavailableError, FencedError."""
        self._watchdog.beat()
        self._expect_progress()
        self._commit_if_due()
        with kafka_errors(f"polling as {self._group}"):
            polled = self.consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        if self._newly_assigned:
            # Here, not in the client's callback: what is done for a new partition may itself ask the brokers.
            newly, self._newly_assigned = self._newly_assigned, []
            self._rewind(newly)
            self.on_assigned(newly)
            return []
        records = [record for of_partition in polled.values() for record in of_partition]
        if records:
            self._quiet_since, self._behind, self._unanswered = time.monotonic(), False, 0
        self._linger(streams=bool(records))
        return records

    def _linger(self, *, streams: bool) -> None:
        """While records keep coming the broker collects them, so that a batch costs one request whatever it holds. When
        none come it answers with the first: asking again and again for nothing would cost more than the work."""
        now = time.monotonic()
        if streams:
            self._idle_at = now + _IDLE_AFTER_SECONDS
        lingers = self._linger_ms > 0 and now < self._idle_at
        if lingers and not self._lingers:
            set_fetch_wait(self.consumer, min_bytes=_ENOUGH_BYTES, max_wait_ms=self._linger_ms)
        elif self._lingers and not lingers:
            set_fetch_wait(self.consumer, min_bytes=1, max_wait_ms=_IDLE_WAIT_MS)
        self._lingers = lingers

    def _expect_progress(self) -> None:
        """A client that brings nothing although there is something has lost its way, and maybe one that gets no answer
        for a minute: raises LogUnavailableError."""
        if time.monotonic() - self._quiet_since < _QUIET_SECONDS:
            return
        self._quiet_since = time.monotonic()
        reading = sorted(self.consumer.assignment() - self.consumer.paused())
        try:
            with kafka_errors(f"looking for what {self._group} has not read"):
                ends = self.consumer.end_offsets(reading, timeout_ms=ANSWER_MS) if reading else {}
                unread = sum(end - self.consumer.position(one, timeout_ms=ANSWER_MS) for one, end in ends.items())
        except LogUnavailableError:
            # Mostly the brokers are away, and the client waits for them by itself.
            self._unanswered += 1
            if self._unanswered < _UNANSWERED:
                return
            raise
        self._unanswered = 0
        if unread > 0 and self._behind:
            raise LogUnavailableError(
                f"{self._group} has {unread} offsets to read, but for {2 * _QUIET_SECONDS:.0f} s nothing came"
            )
        self._behind = unread > 0

    def _rewind(self, partitions: Sequence[TopicPartition]) -> None:
        """Go on at the committed offsets: the client keeps its position in a partition that a rebalance takes and gives
        back, but whoever processes the records has dropped what was not committed."""
        consumer = self.consumer
        with kafka_errors(f"reading the committed offsets of {self._group}"):
            committed = {partition: consumer.committed(partition, timeout_ms=ANSWER_MS) for partition in partitions}
            for partition, offset in committed.items():
                if partition in consumer.assignment():
                    if offset is None:
                        consumer.seek_to_beginning(partition)
                    else:
                        consumer.seek(partition, offset)

    def read_to_end(self) -> list[TopicPartition]:
        """The partitions that are being read and have been read to their end. Raises LogUnavailableError."""
        consumer = self.consumer
        ends = {partition: consumer.highwater(partition) for partition in consumer.assignment() - consumer.paused()}
        unknown = [partition for partition, end in ends.items() if end is None]
        # The client drops the answer to a fetch that was overtaken by a pause or a rebalance, and the broker does not
        # repeat it for a partition in which nothing happens: then nobody would ever know that there is nothing.
        with kafka_errors(f"reading the ends of what {self._group} reads"):
            if unknown and time.monotonic() >= self._ask_ends_at:
                self._ask_ends_at = time.monotonic() + _ASK_ENDS_SECONDS
                ends |= consumer.end_offsets(unknown, timeout_ms=ANSWER_MS)
            return [
                partition
                for partition, end in ends.items()
                if end is not None and consumer.position(partition, timeout_ms=ANSWER_MS) >= end
            ]

    def passed(self, partition: TopicPartition) -> int | None:
        """The offset to which everything of an assigned partition has been given by `poll`; None while nobody knows.
        Markers of transactions count: after a producer that uses them, this is beyond the last record. Raises
        LogUnavailableError."""
        with kafka_errors(f"reading the position of {self._group}"):
            position: int | None = self.consumer.position(partition, timeout_ms=ANSWER_MS)
            return position

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the offsets to read next: at once, or with a `poll` that comes `_COMMIT_SECONDS` after the commit
        before. While the group is rebalanced nothing is committed, and whoever gets the partitions reads the records
        again. Raises LogUnavailableError, FencedError."""
        self._uncommitted |= offsets
        self._commit_if_due()

    def _commit_if_due(self) -> None:
        if self._uncommitted and time.monotonic() >= self._commit_at:
            self._commit_now()

    def _commit_now(self) -> None:
        offsets = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in self._uncommitted.items()}
        with kafka_errors(f"committing as {self._group}"):
            try:
                self.consumer.commit(offsets, timeout_ms=10_000)
            except (CommitFailedError, RebalanceInProgressError) as exc:
                if not _of_rebalance(exc):
                    raise
                _log.info("offsets not committed, the group is being rebalanced", group=self._group, error=str(exc))
        self._uncommitted = {}
        self._commit_at = time.monotonic() + _COMMIT_SECONDS

    def go_on(self, partition: TopicPartition, offset: int) -> None:
        """Read on at this offset of an assigned partition, and commit it: for who knows by itself what it has finished,
        after a rebalance, in which a commit may have been dropped. Raises PartitionsLostError when it is another's;
        LogUnavailableError, FencedError."""
        if partition not in self.consumer.assignment():
            raise PartitionsLostError
        self.consumer.seek(partition, offset)
        self.commit({partition: offset})

    def commit_finished(self) -> None:
        """Commit what has been `passed`, when all that `poll` has returned is finished: uncommitted, the marks of
        transactions would look like something left to do. Raises LogUnavailableError, FencedError."""
        positions = {one: self.passed(one) for one in self.consumer.assignment()}
        passed = {one: at for one, at in positions.items() if at is not None and at != self._finished.get(one)}
        self.commit(passed)
        self._finished |= passed

    def retrying(self, doing: str, action: Callable[[], _T]) -> _T:
        """The result of `action`, tried again with back-off for as long as it raises UnavailableError; after a
        RateLimitedError at the moment that it names.

        Meanwhile the partitions are paused and the membership is kept. Raises PartitionsLostError after a rebalance,
        StoppedError when the process shall end.
        """
        back_off = BackOff()
        generation = self._generation
        while True:
            try:
                result = action()
            except RateLimitedError as exc:
                # Nothing is wrong, and the limit knows the moment: backing off further would leave searches unused.
                delay = exc.retry_after_seconds
            except UnavailableError as exc:
                delay = back_off.next()
                _log.warning("engine unavailable, waiting", doing=doing, error=str(exc), seconds=round(delay, 2))
            else:
                self.consumer.resume(*self.consumer.paused())
                return result
            self._watchdog.beat()
            self.consumer.pause(*self.consumer.assignment())
            if self._stop.wait(delay):
                raise StoppedError
            with kafka_errors(f"keeping the membership in {self._group}"):
                self.consumer.poll(timeout_ms=0)
            if self._generation != generation:
                self.consumer.resume(*self.consumer.paused())
                raise PartitionsLostError

    def close(self) -> None:
        """Commit what is to be committed, if the brokers can be reached, and leave the group."""
        self._watchdog.stop()
        if self._uncommitted:
            with suppress(LogUnavailableError, FencedError):
                self._commit_now()
        self.consumer.close(autocommit=False, timeout_ms=5000)


def _of_rebalance(error: CommitFailedError | RebalanceInProgressError) -> bool:
    """Whether a commit failed because the group comes together anew, not because this is no member any more."""
    said = error.args[0] if isinstance(error, CommitFailedError) else error
    return isinstance(said, RebalanceInProgressError)
