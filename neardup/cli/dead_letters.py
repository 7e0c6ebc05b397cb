"""`neardup dead-letters`."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from neardup.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from neardup.cli.wiring import Wiring
    from neardup.dead_letters import DeadLetter

__all__ = ["dead_letters"]


@click.group()
def dead_letters() -> None:
    """Messages that could not be processed, with the reason."""


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many, oldest first.")
@click.option("--reason", default="", metavar="TEXT", help="Only those whose reason contains this.")
@json_option
def list_(limit: int, reason: str, as_json: bool) -> None:
    """List dead letters: where each came from, what is wrong with it, and whether it was replayed."""
    from neardup.cli.wiring import opened
    from neardup.replay import Replay

    with opened() as wiring:
        replayed = Replay(wiring.kafka, wiring.topics).done()
        letters = list(islice(_letters(wiring, reason), limit))
    if as_json:
        print_json([_as_json(letter, replayed) for letter in letters])
    elif letters:
        print_table(
            ("offset", "from", "replayed", "reason"),
            [
                (letter.offset, _origin(letter), "yes" if letter.offset in replayed else "", letter.reason)
                for letter in letters
            ],
        )
    else:
        click.echo("no dead letters")


@dead_letters.command()
@click.argument("offset", type=click.IntRange(min=0))
@json_option
def show(offset: int, as_json: bool) -> None:
    """Show the dead letter at OFFSET: everything that was received."""
    from neardup.cli.wiring import opened
    from neardup.replay import Replay

    with opened() as wiring:
        replayed = Replay(wiring.kafka, wiring.topics).done()
        letter = _one(wiring, offset)
    if as_json:
        print_json(_as_json(letter, replayed))
        return
    for name, value in (
        ("reason", letter.reason),
        ("from", _origin(letter)),
        ("received", _moment(letter.received_ms)),
        ("put aside", _moment(letter.at_ms)),
        ("replayed", _moment(replayed[offset]) if offset in replayed else "no"),
        ("key", _text(letter.key)),
        *((f"header {name}", _text(value)) for name, value in letter.headers),
    ):
        click.echo(f"{name:<10} {value}")
    click.echo(_text(letter.value))


@dead_letters.command()
@click.argument("offsets", type=click.IntRange(min=0), nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--reason", default="", metavar="TEXT", help="Those whose reason contains this.")
@json_option
def replay(offsets: tuple[int, ...], everything: bool, reason: str, as_json: bool) -> None:
    """Send dead letters once more, as they were received, to where they came from.

    What is replayed is remembered: nothing is sent a second time. A message that is still not valid becomes a new dead
    letter.
    """
    from neardup.cli.wiring import opened
    from neardup.replay import Replay

    if [bool(offsets), everything, bool(reason)].count(True) != 1:
        raise click.UsageError("say which: some OFFSETS, --all, or --reason TEXT")
    with opened() as wiring:
        chosen = [_one(wiring, offset) for offset in dict.fromkeys(offsets)] if offsets else _letters(wiring, reason)
        sent: list[int] = []
        before: list[int] = []
        for one in Replay(wiring.kafka, wiring.topics).send(chosen):
            (before if one.offset is None else sent).append(one.letter.offset)
            if not as_json:
                source = one.letter.source
                done = "was replayed before" if one.offset is None else f"sent to {source.topic}/{source.partition}"
                click.echo(f"{one.letter.offset} {done}")
    if as_json:
        print_json({"replayed": sent, "replayed_before": before})
    else:
        click.echo(f"replayed {len(sent)}, replayed before {len(before)}")


def _letters(wiring: "Wiring", reason: str) -> "Iterator[DeadLetter]":
    from neardup.dead_letters import read_dead_letters

    return (letter for letter in read_dead_letters(wiring.kafka, wiring.topics) if reason in letter.reason)


def _one(wiring: "Wiring", offset: int) -> "DeadLetter":
    from neardup.dead_letters import read_dead_letter

    letter = read_dead_letter(wiring.kafka, wiring.topics, offset)
    if letter is None:
        raise click.BadParameter(f"there is no dead letter at offset {offset}; see: neardup dead-letters list")
    return letter


def _origin(letter: "DeadLetter") -> str:
    return f"{letter.source.topic}/{letter.source.partition}/{letter.source.offset}"


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).isoformat(timespec="milliseconds")


def _text(data: bytes | None) -> str:
    """As text where it is one; anything else byte by byte."""
    if data is None:
        return "(none)"
    text = data.decode(errors="backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _as_json(letter: "DeadLetter", replayed: dict[int, int]) -> dict[str, Any]:
    return {
        "offset": letter.offset,
        "reason": letter.reason,
        "topic": letter.source.topic,
        "partition": letter.source.partition,
        "source_offset": letter.source.offset,
        "received_ms": letter.received_ms,
        "at_ms": letter.at_ms,
        "replayed_ms": replayed.get(letter.offset),
        "key": None if letter.key is None else letter.key.decode(errors="replace"),
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers},
        "value_base64": None if letter.value is None else base64.b64encode(letter.value).decode(),
    }
