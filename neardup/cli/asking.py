"""Sending a person's command to the assigner and waiting for its answer in the ledger."""

import getpass
import json
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from neardup.cli.output import json_option, print_json
from neardup.cli.sentences import sentence_of
from neardup.clock import SystemClock
from neardup.commands import Command, CommandBody
from neardup.entries import Entry, NotMoved, Refused, Unchanged
from neardup.errors import UnavailableError
from neardup.records import encode_entry
from neardup.types import Position

if TYPE_CHECKING:
    from neardup.cli.wiring import Wiring

__all__ = ["Asking", "Said", "asking_options", "confirm", "print_answers", "succeeded"]

_LOOK_EVERY_SECONDS: Final = 0.05
_WAIT_TOLD_AFTER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Who says it, why, and how long to wait for the answer."""

    actor: str
    reason: str | None
    timeout_seconds: float


def asking_options(command: Callable[..., None]) -> Callable[..., None]:
    """What all commands of people have in common."""
    for option in (
        click.option("--reason", metavar="TEXT", help="Why; kept in the ledger with your name."),
        click.option("--actor", metavar="NAME", help="Who says it. Default: the login name."),
        click.option("--timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds."),
        click.option("--yes", is_flag=True, help="Do not ask before large effects."),
        json_option,
    ):
        command = option(command)
    return command


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something large, on standard error; ends the command unless the answer is yes."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def succeeded(entries: Sequence[Entry]) -> bool:
    """Whether a command had an effect, or had nothing to do."""
    return not all(isinstance(entry, Refused | NotMoved) for entry in entries)


def print_answers(answers: Sequence[Sequence[Entry]], *, as_json: bool, more: dict[str, Any] | None = None) -> None:
    """The entries that answer one or several commands; ends with exit code 1 when none of them had an effect."""
    entries = [entry for answer in answers for entry in answer]
    if as_json:
        outcome = "refused" if not succeeded(entries) else "done"
        if all(isinstance(entry, Unchanged) for entry in entries):
            outcome = "unchanged"
        listed = [json.loads(encode_entry(entry))["entry"] for entry in entries]
        print_json({"outcome": outcome, "entries": listed} | (more or {}))
    else:
        for entry in entries:
            click.echo(sentence_of(entry), err=isinstance(entry, Refused | NotMoved))
    if not succeeded(entries):
        sys.exit(1)


class Asking:
    """The way of a command of one person to its answer, for one namespace."""

    def __init__(self, wiring: "Wiring", said: Said) -> None:
        from graph.kafka_log import KafkaLedger, KafkaProposalLog

        self._wiring = wiring
        self._said = said
        self._ledger = KafkaLedger(wiring.kafka, wiring.topics)
        self._log = KafkaProposalLog(wiring.kafka, wiring.topics)

    def ask(self, body: CommandBody) -> list[Entry]:
        """The entries that answer this command, once readers see what it did.

        Raises UnavailableError when no answer comes in time: the command is in the log and will be answered.
        """
        tail = self._ledger.tail(1)
        after = tail[-1][0] if tail else Position()
        command = Command(
            command_id=str(uuid.uuid4()),
            actor=self._said.actor or getpass.getuser(),
            reason=self._said.reason,
            at_ms=SystemClock().now_ms(),
            body=body,
        )
        self._log.append([command])
        deadline = time.monotonic() + self._said.timeout_seconds
        entries = self._answer(command.command_id, after, deadline)
        self._await_readers(entries[-1].seq, deadline)
        return entries

    def _answer(self, command_id: str, after: Position, deadline: float) -> list[Entry]:
        tell_at = time.monotonic() + _WAIT_TOLD_AFTER_SECONDS
        found: list[Entry] = []
        while True:
            some = self._ledger.read(after=after)
            mine = [entry for _, entry in some if entry.command_id == command_id]
            found += mine
            # All entries of a command are one transaction: after the first, they come without a gap.
            if found and (not some or some[-1][1].command_id != command_id):
                return found
            after = some[-1][0] if some else after
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"no answer within {self._said.timeout_seconds:g} s; is `neardup worker` running? The command "
                    f"{command_id} is in the log and will be answered when it does"
                )
            if time.monotonic() > tell_at:
                click.echo("waiting for the assigner …", err=True)
                tell_at = float("inf")

    def _await_readers(self, seq: int, deadline: float) -> None:
        """Until graph and cache show it, so that the next command of this person does."""
        while time.monotonic() < deadline:
            if min(self._wiring.store.position().seq, self._wiring.cache.position().seq) >= seq:
                return
            time.sleep(_LOOK_EVERY_SECONDS)
        click.echo("decided; the graph or the cache does not show it yet", err=True)

    def close(self) -> None:
        """Close the connections."""
        self._ledger.close()
        self._log.close()
