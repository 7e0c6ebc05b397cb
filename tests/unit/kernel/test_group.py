"""What a member of a group does while an engine is away, on a consumer that stands for Kafka's."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import CommitFailedError, KafkaTimeoutError, RebalanceInProgressError, UnknownMemberIdError
from structlog.testing import capture_logs

from neardup.errors import LogUnavailableError, RateLimitedError, SearchUnavailableError
from neardup.group import GroupMember, StoppedError


class Consumer:
    """One partition, and what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.pausing = {"partition"}
        self.known_end: int | None = 7
        self.at = 7
        self._fetcher = SimpleNamespace(config={})

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def subscribe(self, topics: list[str], *, listener: object) -> None: ...

    def assignment(self) -> set[str]:
        return {"partition"}

    def paused(self) -> set[str]:
        return self.pausing

    def highwater(self, partition: str) -> int | None:
        return self.known_end

    def position(self, partition: str, *, timeout_ms: int) -> int:
        return self.at

    def end_offsets(self, partitions: list[str], *, timeout_ms: int) -> dict[str, int]:
        self.done.append("ends")
        return dict.fromkeys(partitions, 7)

    def pause(self, *partitions: str) -> None:
        self.done.append("pause")

    def resume(self, *partitions: str) -> None:
        self.done.append("resume")

    def poll(self, *, timeout_ms: int) -> dict[Any, Any]:
        self.done.append("poll")
        return {}

    def close(self, *, autocommit: bool, timeout_ms: int) -> None: ...


class Stop(threading.Event):
    """Notes the waits, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


class Kafka:
    def __init__(self) -> None:
        self.made = Consumer()

    def consumer(self, **_: object) -> Consumer:
        return self.made


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def member(stop: Stop) -> Iterator[GroupMember]:
    member = GroupMember(Kafka(), topics=["t"], group="g", instance_id=None, stop=stop)  # type: ignore[arg-type]
    yield member
    member.close()


def failing(*errors: Exception) -> Any:
    left = list(errors)

    def action() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return action


def test_at_the_search_limit_it_waits_as_long_as_the_limit_says(member: GroupMember, stop: Stop) -> None:
    waits = [0.12, 0.5, 0.01, 1.05, 0.2]
    errors = [RateLimitedError("reached", retry_after_seconds=seconds) for seconds in waits]
    with capture_logs() as logs:
        assert member.retrying("searching", failing(*errors)) == "done"
    assert stop.waits == waits
    assert logs == []
    assert member.consumer.done == ["pause", "poll"] * 5 + ["resume"]


def test_an_engine_away_is_waited_for_with_back_off_and_told(member: GroupMember, stop: Stop) -> None:
    with capture_logs() as logs:
        member.retrying("searching", failing(*[SearchUnavailableError("gone")] * 8))
    assert stop.waits[-1] > 2.0
    assert len(logs) == 8


def test_the_limit_does_not_make_the_back_off_grow(member: GroupMember, stop: Stop) -> None:
    reached = RateLimitedError("reached", retry_after_seconds=0.1)
    member.retrying("searching", failing(*[reached] * 10, SearchUnavailableError("gone")))
    assert stop.waits[-1] <= 0.05


def test_stopping_ends_the_waiting(member: GroupMember, stop: Stop) -> None:
    stop.set()
    with pytest.raises(StoppedError):
        member.retrying("searching", failing(RateLimitedError("reached", retry_after_seconds=0.1)))


class Silent(Consumer):
    """Brings nothing, although there may be something up to `end`."""

    end = 5

    def paused(self) -> set[str]:
        return set()

    def end_offsets(self, partitions: list[str], *, timeout_ms: int) -> dict[str, int]:
        if self.end < 0:
            raise KafkaTimeoutError
        return dict.fromkeys(partitions, self.end)

    def position(self, partition: str, *, timeout_ms: int) -> int:
        return 3

    def poll(self, *, timeout_ms: int, max_records: int = 0) -> dict[Any, Any]:
        return {}


@pytest.fixture
def silent(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[GroupMember, Silent]]:
    monkeypatch.setattr("neardup.group._QUIET_SECONDS", 0.0)
    kafka, consumer = Kafka(), Silent()
    kafka.made = consumer
    member = GroupMember(kafka, topics=["t"], group="g", instance_id=None, stop=stop)  # type: ignore[arg-type]
    yield member, consumer
    member.close()


def test_a_member_that_is_brought_nothing_although_there_is_something_gives_up(
    silent: tuple[GroupMember, Silent],
) -> None:
    member, _ = silent
    assert member.poll(timeout_ms=0, max_records=1) == []
    with pytest.raises(LogUnavailableError, match="g has 2 offsets to read"):
        member.poll(timeout_ms=0, max_records=1)


@pytest.mark.parametrize(("end", "polls"), [(3, 9), (-1, 2)], ids=["nothing-to-read", "brokers-away"])
def test_a_member_waits_where_nothing_can_come(silent: tuple[GroupMember, Silent], end: int, polls: int) -> None:
    member, consumer = silent
    consumer.end = end
    for _ in range(polls):
        assert member.poll(timeout_ms=0, max_records=1) == []


def test_a_member_that_gets_no_answer_for_long_gives_up(silent: tuple[GroupMember, Silent]) -> None:
    member, consumer = silent
    for end in (-1, -1, 3, -1, -1):
        consumer.end = end
        assert member.poll(timeout_ms=0, max_records=1) == []
    with pytest.raises(LogUnavailableError, match="looking for what g has not read"):
        member.poll(timeout_ms=0, max_records=1)


def test_a_partition_has_been_read_to_its_end(member: GroupMember) -> None:
    consumer = member.consumer
    assert member.read_to_end() == []
    consumer.pausing = set()
    assert member.read_to_end() == ["partition"]
    consumer.at = 6
    assert member.read_to_end() == []
    assert consumer.done == []


def test_the_broker_is_asked_for_an_end_that_the_client_missed_but_not_all_the_time(member: GroupMember) -> None:
    consumer = member.consumer
    consumer.pausing, consumer.known_end = set(), None
    assert member.read_to_end() == ["partition"]
    assert member.read_to_end() == []
    assert consumer.done == ["ends"]


def test_what_was_read_and_finished_is_committed_once(
    silent: tuple[GroupMember, Silent], monkeypatch: pytest.MonkeyPatch
) -> None:
    member, _ = silent
    committed: list[Any] = []
    monkeypatch.setattr(member, "commit", committed.append)
    member.commit_finished()
    member.commit_finished()
    assert committed == [{"partition": 3}, {}]
    member.on_partitions_revoked([])
    member.commit_finished()
    assert committed[2] == {"partition": 3}


class Committing(Consumer):
    """Notes what is committed; fails while `away`, or as it is told to."""

    away = False
    refusal: Exception | None = None

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[dict[str, int]] = []

    def poll(self, *, timeout_ms: int, max_records: int = 0) -> dict[Any, Any]:
        return {}

    def commit(self, offsets: dict[str, Any], *, timeout_ms: int) -> None:
        if self.away:
            raise KafkaTimeoutError
        if self.refusal is not None:
            raise self.refusal
        self.commits.append({partition: committed.offset for partition, committed in offsets.items()})


@pytest.fixture
def committing(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[GroupMember, Committing, list[float]]]:
    now = [100.0]
    monkeypatch.setattr("neardup.group.time", SimpleNamespace(monotonic=lambda: now[0]))
    kafka, consumer = Kafka(), Committing()
    kafka.made = consumer
    member = GroupMember(kafka, topics=["t"], group="g", instance_id=None, stop=stop)  # type: ignore[arg-type]
    yield member, consumer, now
    # Else its watchdog ends this process a minute later.
    member.close()


def test_commits_that_follow_one_another_are_made_together(
    committing: tuple[GroupMember, Committing, list[float]],
) -> None:
    member, consumer, now = committing
    for offset in range(1, 4):
        member.commit({"a": offset})
    member.commit({"b": 7})
    member.poll(timeout_ms=0, max_records=1)
    assert consumer.commits == [{"a": 1}]
    now[0] += 0.3
    member.poll(timeout_ms=0, max_records=1)
    member.poll(timeout_ms=0, max_records=1)
    assert consumer.commits == [{"a": 1}, {"a": 3, "b": 7}]
    member.close()


def test_a_member_that_leaves_commits_what_it_can(committing: tuple[GroupMember, Committing, list[float]]) -> None:
    member, consumer, _ = committing
    member.commit({"a": 1})
    member.commit({"a": 2})
    member.close()
    assert consumer.commits == [{"a": 1}, {"a": 2}]
    member.commit({"a": 3})
    consumer.away = True
    member.close()


def test_what_was_revoked_is_not_committed(committing: tuple[GroupMember, Committing, list[float]]) -> None:
    member, consumer, _ = committing
    member.commit({"a": 1})
    member.commit({"a": 2})
    member.on_partitions_revoked([])
    member.close()
    assert consumer.commits == [{"a": 1}]


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (RebalanceInProgressError(), True),
        (CommitFailedError(RebalanceInProgressError()), True),
        (CommitFailedError(UnknownMemberIdError()), False),
        (CommitFailedError(), False),
    ],
)
def test_a_commit_is_dropped_only_while_the_group_comes_together_anew(
    committing: tuple[GroupMember, Committing, list[float]], error: Exception, stays: bool
) -> None:
    member, consumer, now = committing
    consumer.refusal = error
    with nullcontext() if stays else pytest.raises(LogUnavailableError, match="committing as g"):
        member.commit({"partition": 4})
    consumer.refusal = None
    now[0] += 1.0
    member.poll(timeout_ms=0, max_records=1)
    assert consumer.commits == ([] if stays else [{"partition": 4}])
