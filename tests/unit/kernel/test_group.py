"""What a member of a group does while an engine is away, on a consumer that stands for Kafka's."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from neardup.errors import RateLimitedError, SearchUnavailableError
from neardup.group import GroupMember, StoppedError


class Consumer:
    """One partition, and what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def subscribe(self, topics: list[str], *, listener: object) -> None: ...

    def assignment(self) -> set[str]:
        return {"partition"}

    def paused(self) -> set[str]:
        return {"partition"}

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
