import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from kafka.future import Future

from neardup.errors import LogUnavailableError
from neardup.kafka import Outgoing, RenewedConsumer, RenewedProducer
from neardup.kafka_repairs import BoundedSelector, PatientConnections


@pytest.fixture
def loop() -> Iterator[BoundedSelector]:
    selector = BoundedSelector()
    selector.longest_call_seconds = 0.2
    selector.start()
    yield selector
    selector.close()


def test_a_call_that_the_event_loop_never_finishes_ends(loop: BoundedSelector) -> None:
    async def lost() -> None:
        await Future()

    begun = time.monotonic()
    with pytest.raises(KafkaTimeoutError, match="did not answer"):
        loop.run(lost)
    assert time.monotonic() - begun < 5


def test_results_and_errors_come_back(loop: BoundedSelector) -> None:
    async def double(number: int) -> int:
        return 2 * number

    async def fail() -> None:
        raise KeyError("x")

    assert loop.run(double, 21) == 42
    with pytest.raises(KeyError, match="x"):
        loop.run(fail)


class Consumer:
    """Stands for a consumer of the client library; knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self, *, autocommit: bool, timeout_ms: int) -> None:
        self.closed = True


def test_a_consumer_that_failed_is_opened_anew() -> None:
    made: list[Consumer] = []

    def make() -> Consumer:
        made.append(Consumer())
        return made[-1]

    connection = RenewedConsumer(make)
    assert made == []
    with connection.use("asking") as first:
        assert first is made[0]
    with connection.use("asking") as again:
        assert again is made[0]
    with pytest.raises(LogUnavailableError, match="asking: KafkaTimeoutError"), connection.use("asking"):
        raise KafkaTimeoutError
    assert made[0].closed
    with connection.use("asking") as second:
        assert second is made[1]
    connection.close()
    connection.close()
    assert made[1].closed
    assert len(made) == 2


@dataclass(frozen=True)
class Sent:
    """What sending gives: the record's place, or the error, once that is known."""

    offset: int
    error: Exception | None

    def get(self, timeout: float) -> "Sent":
        if self.error is not None:
            raise self.error
        return self


class Producer:
    """Stands for a producer of the client library: once it has met an error, everything fails with it."""

    def __init__(self, written: list[tuple[Any, ...]], error: Exception | None) -> None:
        self.written = written
        self.error = error
        self.closed = False

    def send(self, topic: str, **message: Any) -> "Sent":
        self.written.append((topic, message["key"], message["value"], message["partition"], message["headers"]))
        return Sent(len(self.written) - 1, self.error)

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        self.closed = True


def test_a_producer_that_failed_is_opened_anew() -> None:
    """kafka-python refuses everything after a broken answer, for good."""
    written: list[tuple[Any, ...]] = []
    made = [Producer([], KafkaConnectionError("broken")), Producer(written, None)]
    waiting = iter(made)
    producer = RenewedProducer(lambda: next(waiting))
    message = Outgoing("topic", b"key", None, 3, [("name", b"value")])
    with pytest.raises(LogUnavailableError, match="trying: KafkaConnectionError"):
        producer.write([message], "trying")
    assert made[0].closed
    assert producer.write([message, Outgoing("other", None, b"value")], "trying") == [0, 1]
    assert producer.write([], "trying") == []
    assert written == [("topic", b"key", None, 3, [("name", b"value")]), ("other", None, b"value", None, [])]
    assert not made[1].closed
    producer.close()
    assert made[1].closed


def test_a_broker_that_takes_connections_and_breaks_them_is_left_alone_for_a_while(loop: BoundedSelector) -> None:
    class Connection:
        init_future = Future()

    connections = PatientConnections(loop, bootstrap_servers=["127.0.0.1:1"])
    connections._conns[7] = Connection()
    Connection.init_future.failure(KafkaConnectionError("cut off"))
    delays = []
    for _ in range(3):
        connections.reset_backoff(7)
        delays.append(connections.connection_delay(7))
    assert 0 < delays[0] < delays[2]
    Connection.init_future = Future()
    Connection.init_future.success(True)
    connections.reset_backoff(7)
    assert connections.connection_delay(7) == 0
