import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from graph.shared_ledger import LedgerFollower, SharedLedger
from neardup.entries import Entry
from neardup.errors import LogUnavailableError
from neardup.testing import InMemoryLedger, InMemoryLedgerWriter, ledger_of, position_of
from neardup.types import Position

SOON = 10.0
"""Seconds in which threads that are not held must have come on."""
ENTRIES = ledger_of([(f"image-{number}", f"image-{number}") for number in range(40)])
START = Position()


class Readers:
    """Opens readers of one ledger, and tells what they were asked. While `held`, a reading has read and not returned.
    `errors` are raised by the next readings."""

    def __init__(self) -> None:
        self.ledger = InMemoryLedger()
        self.writer: InMemoryLedgerWriter = self.ledger.writer()
        self.asked: list[tuple[int, Position]] = []
        self.opened = self.closed = 0
        self.errors: list[Exception] = []
        self.has_read = threading.Semaphore(0)
        self._go = threading.Event()
        self._go.set()

    def hold(self) -> None:
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    def __call__(self) -> "Reader":
        self.opened += 1
        return Reader(self, self.opened)

    def read(self, number: int, after: Position, limit: int) -> list[tuple[Position, Entry]]:
        self.asked.append((number, after))
        found = self.ledger.read(after=after, limit=limit)
        self.has_read.release()
        assert self._go.wait(SOON)
        if self.errors:
            raise self.errors.pop()
        return found


class Reader:
    def __init__(self, readers: Readers, number: int) -> None:
        self._readers = readers
        self._number = number
        self._busy = threading.Lock()

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Entry]]:
        assert self._busy.acquire(blocking=False), "two threads use one reader"
        try:
            return self._readers.read(self._number, after, limit)
        finally:
            self._busy.release()

    def end(self) -> int:
        assert not self._busy.locked()
        return self._readers.ledger.end()

    def close(self) -> None:
        self._readers.closed += 1


@pytest.fixture
def readers() -> Readers:
    return Readers()


@pytest.fixture
def pool() -> Any:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def seqs(entries: Sequence[tuple[Position, Entry]]) -> list[int]:
    return [entry.seq for _, entry in entries]


def waiting(shared: SharedLedger, call: Callable[[], Any], pool: ThreadPoolExecutor) -> Future[Any]:
    """The call is under way and waits for the use of the reader by another."""
    before = len(shared._free._waiters)  # type: ignore[attr-defined]
    future = pool.submit(call)
    for _ in range(int(SOON / 0.005)):
        if len(shared._free._waiters) > before:  # type: ignore[attr-defined]
            return future
        threading.Event().wait(0.005)
    raise AssertionError("it does not wait")


def test_what_one_has_read_the_others_find_in_memory(readers: Readers) -> None:
    readers.writer.append(ENTRIES[:10])
    shared = SharedLedger(readers)
    followers = [shared.follower() for _ in range(5)]
    positions = [START] * 5
    for limit, expected in ((4, [1, 2, 3, 4]), (200, [5, 6, 7, 8, 9, 10])):
        for number, follower in enumerate(followers):
            entries = follower.read(after=positions[number], limit=limit)
            assert seqs(entries) == expected
            positions[number] = entries[-1][0]
    assert readers.asked == [(1, START)]
    readers.writer.append(ENTRIES[10:13])
    assert [seqs(follower.read(after=positions[0])) for follower in followers] == [[11, 12, 13]] * 5
    assert readers.asked == [(1, START), (1, position_of(ENTRIES[9]))]
    assert readers.opened == 1


def test_memory_is_limited_and_who_has_fallen_behind_reads_by_itself_until_it_has_caught_up(readers: Readers) -> None:
    shared = SharedLedger(readers, kept=4)
    quick, slow = shared.follower(), shared.follower()
    position = START
    for start in range(0, 40, 2):
        readers.writer.append(ENTRIES[start : start + 2])
        position = quick.read(after=position)[-1][0]
    assert len(shared._entries) <= 2 * 4 + 2
    position, found = START, []
    while entries := slow.read(after=position, limit=7):
        found += seqs(entries)
        position = entries[-1][0]
    assert found == list(range(1, 41))
    by_itself = [after.seq for number, after in readers.asked if number == 2]
    assert by_itself == [0, 7, 14, 21, 28, 35]
    slow.close()
    assert readers.closed == 1, "its own connection is given back"


def test_the_end_is_told_while_others_wait_for_something_to_come(readers: Readers, pool: ThreadPoolExecutor) -> None:
    """At the end of the ledger there is always somebody reading; a cache that could not ask where it ends meanwhile
    would not be vouched for."""
    readers.writer.append(ENTRIES[:10])
    shared = SharedLedger(readers)
    follower = shared.follower()
    assert follower.end() == 10
    readers.hold()
    reading = pool.submit(shared.follower().read, after=position_of(ENTRIES[6]))
    assert readers.has_read.acquire(timeout=SOON)
    assert pool.submit(follower.end).result(SOON) == 10
    readers.release()
    assert seqs(reading.result(SOON)) == [8, 9, 10]


def test_a_position_of_another_ledger_is_never_answered_from_memory(readers: Readers) -> None:
    readers.writer.append(ENTRIES[:10])
    shared = SharedLedger(readers)
    assert seqs(shared.follower().read(after=START)) == list(range(1, 11))
    other = Position(seq=4, ledger_offset=400, proposal_offset=40)
    shared.follower().read(after=other)
    assert readers.asked[-1] == (2, other)


def test_one_reads_for_all_that_wait(readers: Readers, pool: ThreadPoolExecutor) -> None:
    readers.writer.append(ENTRIES[:1])
    shared = SharedLedger(readers)
    end = shared.follower().read(after=START)[-1][0]
    readers.writer.append(ENTRIES[1:3])
    readers.hold()
    reading = pool.submit(shared.follower().read, after=end)
    assert readers.has_read.acquire(timeout=SOON)
    others = [waiting(shared, lambda: shared.follower().read(after=end), pool) for _ in range(3)]
    readers.release()
    assert [seqs(each.result(SOON)) for each in (reading, *others)] == [[2, 3]] * 4
    assert [number for number, _ in readers.asked] == [1, 1]


def test_the_end_is_only_said_by_a_reading_that_began_after_the_question(
    readers: Readers, pool: ThreadPoolExecutor
) -> None:
    """Else a projection would vouch for a moment although an entry had been committed before it."""
    readers.writer.append(ENTRIES[:1])
    shared = SharedLedger(readers)
    end = shared.follower().read(after=START)[-1][0]
    readers.hold()
    reading = pool.submit(shared.follower().read, after=end)
    assert readers.has_read.acquire(timeout=SOON)
    assert readers.has_read.acquire(timeout=SOON)
    # It has found nothing. Now something comes, and then somebody asks.
    readers.writer.append(ENTRIES[1:2])
    asking = waiting(shared, lambda: shared.follower().read(after=end), pool)
    readers.release()
    assert reading.result(SOON) == []
    assert seqs(asking.result(SOON)) == [2]


def test_a_failure_is_told_to_all_that_wait_and_the_next_goes_on(readers: Readers, pool: ThreadPoolExecutor) -> None:
    """With brokers that are away each would wait as long again, one after the other."""
    readers.writer.append(ENTRIES[:2])
    shared = SharedLedger(readers)
    follower = shared.follower()
    readers.errors.append(LogUnavailableError("the brokers are away"))
    readers.hold()
    reading = pool.submit(follower.read, after=START)
    assert readers.has_read.acquire(timeout=SOON)
    others = [waiting(shared, lambda: shared.follower().read(after=START), pool) for _ in range(2)]
    readers.release()
    for each in (reading, *others):
        with pytest.raises(LogUnavailableError, match="the brokers are away"):
            each.result(SOON)
    assert seqs(follower.read(after=START)) == [1, 2]
    assert len(readers.asked) == 2


def test_many_threads_read_everything_once_and_in_order(readers: Readers, pool: ThreadPoolExecutor) -> None:
    shared = SharedLedger(readers, kept=3)
    last = len(ENTRIES)

    def follow(follower: LedgerFollower, limit: int) -> list[int]:
        found: list[int] = []
        position = START
        while position.seq < last:
            entries = follower.read(after=position, limit=limit)
            found += seqs(entries)
            position = entries[-1][0] if entries else position
        follower.close()
        return found

    following = [pool.submit(follow, shared.follower(), limit) for limit in (1, 2, 3, 5, 200, 200)]
    for start in range(0, last, 3):
        readers.writer.append(ENTRIES[start : start + 3])
        threading.Event().wait(0.002)
    assert [each.result(SOON) for each in following] == [list(range(1, last + 1))] * 6
    shared.close()
    assert readers.closed == readers.opened
