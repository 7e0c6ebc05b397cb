"""Ledger and proposals in memory."""

from collections.abc import Sequence

from neardup.errors import FencedError
from neardup.types import Decision, Position, Proposal

__all__ = ["InMemoryLedger", "InMemoryLedgerWriter", "InMemoryProposalLog"]


class InMemoryLedger:
    """The port Ledger. `requeued` are the proposals that were handed back."""

    def __init__(self) -> None:
        self._entries: list[tuple[Position, Decision]] = []
        self._writer: InMemoryLedgerWriter | None = None
        self.requeued: list[Proposal] = []

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Decision]]:
        return self._entries[after.seq : after.seq + limit]

    def end(self) -> int:
        return len(self._entries)

    def tail(self, count: int) -> list[tuple[Position, Decision]]:
        return self._entries[-count:] if count else []

    def writer(self) -> "InMemoryLedgerWriter":
        """A new writer; the one before is fenced from now on."""
        self._writer = InMemoryLedgerWriter(self)
        return self._writer

    def append_from(
        self, writer: "InMemoryLedgerWriter", decisions: Sequence[Decision], requeue: Sequence[Proposal]
    ) -> None:
        """What a writer calls. Raises FencedError unless it is the newest, ValueError for a gap in the seqs."""
        if writer is not self._writer:
            raise FencedError("a newer writer has taken over")
        entries = list(self._entries)
        for decision in decisions:
            if decision.seq != len(entries) + 1:
                raise ValueError(f"decisions: seq {decision.seq} follows {len(entries)}")
            position = Position(seq=decision.seq, ledger_offset=len(entries), proposal_offset=decision.proposal_offset)
            entries.append((position, decision))
        self._entries = entries
        self.requeued += requeue


class InMemoryLedgerWriter:
    """The port LedgerWriter."""

    def __init__(self, ledger: InMemoryLedger) -> None:
        self._ledger = ledger

    def append(self, decisions: Sequence[Decision], *, requeue: Sequence[Proposal] = ()) -> None:
        self._ledger.append_from(self, decisions, requeue)


class InMemoryProposalLog:
    """The port ProposalLog."""

    def __init__(self) -> None:
        self._proposals: list[Proposal] = []

    def append(self, proposals: Sequence[Proposal]) -> None:
        self._proposals += proposals

    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Proposal]]:
        return list(enumerate(self._proposals[offset : offset + limit], start=offset))

    def end(self) -> int:
        return len(self._proposals)
