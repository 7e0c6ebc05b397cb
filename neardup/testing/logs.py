"""Ledger, standing words and requests in memory."""

from collections.abc import Sequence

from neardup.commands import Request
from neardup.entries import Entry
from neardup.errors import FencedError
from neardup.standing import StandingChange
from neardup.types import ImageId, Position, Requeue

__all__ = ["InMemoryLedger", "InMemoryLedgerWriter", "InMemoryProposalLog", "InMemoryStandingLog"]


class InMemoryLedger:
    """The port Ledger. `requeued`: what was handed back; `changes`: of the standing words; `erased`: the images that
    were removed from the topic of images."""

    def __init__(self) -> None:
        self._entries: list[tuple[Position, Entry]] = []
        self._writer: InMemoryLedgerWriter | None = None
        self.requeued: list[Requeue] = []
        self.changes: list[StandingChange] = []
        self.erased: list[ImageId] = []

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Entry]]:
        return self._entries[after.seq : after.seq + limit]

    def end(self) -> int:
        return len(self._entries)

    def tail(self, count: int) -> list[tuple[Position, Entry]]:
        return self._entries[-count:] if count else []

    def writer(self) -> "InMemoryLedgerWriter":
        """A new writer; the one before is fenced from now on."""
        self._writer = InMemoryLedgerWriter(self)
        return self._writer

    def append_from(self, writer: "InMemoryLedgerWriter", entries: Sequence[Entry]) -> None:
        """What a writer calls. Raises FencedError unless it is the newest, ValueError for a gap in the seqs."""
        if writer is not self._writer:
            raise FencedError("a newer writer has taken over")
        appended = list(self._entries)
        for entry in entries:
            if entry.seq != len(appended) + 1:
                raise ValueError(f"entries: seq {entry.seq} follows {len(appended)}")
            position = Position(seq=entry.seq, ledger_offset=len(appended), proposal_offset=entry.proposal_offset)
            appended.append((position, entry))
        self._entries = appended


class InMemoryLedgerWriter:
    """The port LedgerWriter."""

    def __init__(self, ledger: InMemoryLedger) -> None:
        self._ledger = ledger

    def append(
        self,
        entries: Sequence[Entry],
        *,
        requeue: Sequence[Requeue] = (),
        standing: Sequence[StandingChange] = (),
        erased: Sequence[ImageId] = (),
    ) -> None:
        self._ledger.append_from(self, entries)
        self._ledger.requeued += requeue
        self._ledger.changes += standing
        self._ledger.erased += erased


class InMemoryStandingLog:
    """The port StandingLog over the changes of a ledger in memory."""

    def __init__(self, ledger: InMemoryLedger) -> None:
        self._ledger = ledger
        self._next = 0

    def changes(self) -> list[StandingChange]:
        new = self._ledger.changes[self._next :]
        self._next += len(new)
        return new


class InMemoryProposalLog:
    """The port ProposalLog."""

    def __init__(self) -> None:
        self._requests: list[Request] = []

    def append(self, requests: Sequence[Request]) -> None:
        self._requests += requests

    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Request]]:
        return list(enumerate(self._requests[offset : offset + limit], start=offset))

    def end(self) -> int:
        return len(self._requests)
