"""One reading of the ledger for all projections of a process: what one of them has read, the others find in memory.

To ask Kafka for the next entries costs both sides some milliseconds, however few there are, and decoding an entry costs
as much for the fifth reader as for the first.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from neardup.entries import Entry
from neardup.errors import LogUnavailableError
from neardup.ports import FollowedLedger
from neardup.types import Position

__all__ = ["LedgerFollower", "LedgerReader", "SharedLedger"]

_AT_ONCE: Final = 1_000
_KEPT: Final = 4_000

_Entries = list[tuple[Position, Entry]]


class LedgerReader(FollowedLedger, Protocol):
    """One that holds a connection. Used by one thread at a time."""

    def close(self) -> None: ...


class SharedLedger:
    """The entries that were read last, and the one reader of what comes after them. Thread-safe.

    `make`: opens a reader. `kept`: how many entries stay in memory, about.
    """

    def __init__(self, make: Callable[[], LedgerReader], *, kept: int = _KEPT) -> None:
        self._make = make
        self._reader = make()
        self._kept = kept
        self._free = threading.Condition()
        self._in_use = False
        # Uses of the reader are counted; these were the last that found the end, and that failed.
        self._uses = 0
        self._found_end = 0
        self._failed = 0
        self._error = ""
        # What is in memory lies between two positions, the first of which is wherever somebody reads first.
        self._placed = False
        self._entries: _Entries = []
        self._start = self._end = Position()

    def follower(self) -> "LedgerFollower":
        """For one projection, in a thread of its own. To be closed by its user."""
        return LedgerFollower(self, self._make)

    def read(self, after: Position, limit: int) -> _Entries | None:
        """See Ledger; None when this position is not in memory. Whoever stands at the end of what is, and finds nobody
        reading, reads on for all."""
        with self._free:
            arrived = self._uses
            if not self._placed:
                self._placed, self._start, self._end = True, after, after
            while after == self._end and self._in_use:
                self._wait(arrived)
                # One that had begun before may have looked for the end too early for this caller.
                if after == self._end and self._found_end > arrived:
                    return []
            if after != self._end:
                return self._remembered(after, limit)
            self._begin()
        with self._use() as reader:
            found = reader.read(after=after, limit=_AT_ONCE)
            self._keep(found)
        return found[:limit]

    def end(self) -> int:
        """See Ledger."""
        with self._free:
            arrived = self._uses
            while self._in_use:
                self._wait(arrived)
            self._begin()
        with self._use() as reader:
            return reader.end()

    def close(self) -> None:
        """Close the connection. Nobody may be reading."""
        self._reader.close()

    def _remembered(self, after: Position, limit: int) -> _Entries | None:
        if after == self._start:
            return self._entries[:limit]
        place = after.seq - self._start.seq
        # The whole position is compared: it may be one of another ledger.
        if not 1 <= place <= len(self._entries) or self._entries[place - 1][0] != after:
            return None
        return self._entries[place : place + limit]

    def _keep(self, found: _Entries) -> None:
        with self._free:
            if not found:
                self._found_end = self._uses
                return
            self._entries += found
            self._end = found[-1][0]
            # By halves, so that not everything is moved each time.
            if len(self._entries) > 2 * self._kept:
                self._start = self._entries[-self._kept - 1][0]
                del self._entries[: -self._kept]

    def _begin(self) -> None:
        self._in_use = True
        self._uses += 1

    @contextmanager
    def _use(self) -> Iterator[LedgerReader]:
        error = ""
        try:
            yield self._reader
        except LogUnavailableError as exc:
            error = str(exc)
            raise
        finally:
            with self._free:
                self._in_use = False
                if error:
                    self._failed, self._error = self._uses, error
                self._free.notify_all()

    def _wait(self, arrived: int) -> None:
        """For the use that is under way. Should it fail then for whoever waits as well: with brokers that are away each
        would wait as long again."""
        self._free.wait()
        if self._failed >= arrived:
            raise LogUnavailableError(self._error)


class LedgerFollower:
    """The port FollowedLedger over a shared reading. A projection that is far behind the others reads by itself until
    it has come to what they share."""

    def __init__(self, shared: SharedLedger, make: Callable[[], LedgerReader]) -> None:
        self._shared = shared
        self._make = make
        self._own: LedgerReader | None = None

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Entry]]:
        entries = self._shared.read(after, limit)
        if entries is None:
            self._own = self._own or self._make()
            return self._own.read(after=after, limit=limit)
        self.close()
        return entries

    def end(self) -> int:
        return self._shared.end()

    def close(self) -> None:
        """Close the connection of its own, if it has one."""
        own, self._own = self._own, None
        if own is not None:
            own.close()
