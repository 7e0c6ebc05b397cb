"""Gives commands to the assigner and waits for what they come to."""

import time
from uuid import NAMESPACE_OID, uuid4, uuid5

from neardup.cli.wiring import Wiring
from neardup.commands import Command, CommandBody, sentence_of
from neardup.entries import Entry
from neardup.errors import UnavailableError
from neardup.types import Position

__all__ = ["Orders"]

_PAUSE_SECONDS = 0.05


class Orders:
    """Commands of one person for one reason. `patience_seconds`: how long an answer may take. Not thread-safe."""

    def __init__(self, wiring: Wiring, *, actor: str, reason: str, patience_seconds: float = 60.0) -> None:
        from graph.kafka_log import KafkaLedger, KafkaProposalLog

        self._ledger = KafkaLedger(wiring.kafka, wiring.topics)
        self._requests = KafkaProposalLog(wiring.kafka, wiring.topics)
        self._actor = actor
        self._reason = reason
        self._patience = patience_seconds
        self._series = uuid4()
        self._given = 0
        tail = self._ledger.tail(1)
        self._position = tail[-1][0] if tail else None

    def give(self, body: CommandBody) -> list[Entry]:
        """The entries that a command came to. Raises UnavailableError when nobody answers in time; it may be answered
        later."""
        self._given += 1
        command = Command(
            command_id=str(uuid5(NAMESPACE_OID, f"{self._series}/{self._given}")),
            actor=self._actor,
            reason=self._reason,
            at_ms=time.time_ns() // 1_000_000,
            body=body,
        )
        self._requests.append([command])
        deadline = time.monotonic() + self._patience
        found: list[Entry] = []
        while not found:
            some = self._ledger.read(after=self._position or Position())
            found = [entry for _, entry in some if entry.command_id == command.command_id]
            if some:
                self._position = some[-1][0]
            elif time.monotonic() > deadline:
                raise UnavailableError(
                    f"no answer to: {sentence_of(body)} (command {command.command_id}); is a worker running? "
                    "It is answered when the assigner comes to it"
                )
            else:
                time.sleep(_PAUSE_SECONDS)
        return found

    def close(self) -> None:
        """Close the connections."""
        self._ledger.close()
        self._requests.close()
