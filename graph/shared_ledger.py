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
        self._reading = False
        # Readings are counted; these were the last that found the end, and that failed.
        self._begun = 0
        self._found_end = 0
        self._failed = 0
        self._error = ""
        # What is in memory lies between two positions.
        self._entries: _Entries = []
        self._start = self._end = Position()

    def follower(self) -> "LedgerFollower":
        """For one projection, in a thread of its own. To be closed by its user."""
        return LedgerFollower(self, self._make)

    def read(self, after: Position, limit: int) -> _Entries | None:
        """See Ledger; None when this position is not in memory. Whoever stands at the end of what is, and finds nobody
        reading, reads on for all."""
        with self._free:
            arrived = self._begun
            if arrived == 0:
                # Memory begins wherever somebody reads first.
                self._start = self._end = after
            while after == self._end and self._reading:
                self._wait(arrived)
                # One that had begun before may have looked for the end too early for this caller.
                if after == self._end and self._found_end > arrived:
                    return []
            if after != self._end:
                return self._remembered(after, limit)
            self._reading = True
            self._begun += 1
        with self._told():
            found = self._reader.read(after=after, limit=_AT_ONCE)
            self._keep(found)
        return found[:limit]

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
                self._found_end = self._begun
                return
            self._entries += found
            self._end = found[-1][0]
            # By halves, so that not everything is moved each time.
            if len(self._entries) > 2 * self._kept:
                self._start = self._entries[-self._kept - 1][0]
                del self._entries[: -self._kept]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tells whoever waits how it ended."""
        error = ""
        try:
            yield
        except LogUnavailableError as exc:
            error = str(exc)
            raise
        finally:
            with self._free:
                self._reading = False
                if error:
                    self._failed, self._error = self._begun, error
                self._free.notify_all()

    def _wait(self, arrived: int) -> None:
        """For the reading that is under way. Should it fail then for whoever waits as well: with brokers that are away
        each would wait as long again."""
        self._free.wait()
        if self._failed >= arrived:
            raise LogUnavailableError(self._error)


class LedgerFollower:
    """The port FollowedLedger over a shared reading. A projection that is far behind the others reads by itself until
    it has come to what they share; and asks for the end by itself, so that it waits for nobody who reads."""

    def __init__(self, shared: SharedLedger, make: Callable[[], LedgerReader]) -> None:
        self._shared = shared
        self._make = make
        self._own: LedgerReader | None = None

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Entry]]:
        entries = self._shared.read(after, limit)
        return self._alone().read(after=after, limit=limit) if entries is None else entries

    def end(self) -> int:
        return self._alone().end()

    def close(self) -> None:
        """Close the connection of its own, if it has one."""
        if self._own is not None:
            self._own.close()

    def _alone(self) -> LedgerReader:
        self._own = self._own or self._make()
        return self._own
