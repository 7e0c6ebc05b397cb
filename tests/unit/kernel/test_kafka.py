import time
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from neardup.errors import LogUnavailableError
from neardup.kafka import BoundedSelector, RenewedConsumer


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
