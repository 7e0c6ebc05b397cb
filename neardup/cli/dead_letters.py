"""`neardup dead-letters`."""

import base64
from itertools import islice

import click

from neardup.cli.output import json_option, print_json, print_table

__all__ = ["dead_letters"]


@click.group()
def dead_letters() -> None:
    """Messages that could not be processed, with the reason."""


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many, oldest first.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """List dead letters: where each came from and what is wrong with it."""
    from neardup.cli.wiring import opened
    from neardup.dead_letters import read_dead_letters

    with opened() as wiring:
        letters = list(islice(read_dead_letters(wiring.kafka, wiring.topics), limit))
    if as_json:
        print_json(
            [
                {
                    "offset": letter.offset,
                    "reason": letter.reason,
                    "topic": letter.source.topic,
                    "partition": letter.source.partition,
                    "source_offset": letter.source.offset,
                    "key": None if letter.key is None else letter.key.decode(errors="replace"),
                    "value_base64": None if letter.value is None else base64.b64encode(letter.value).decode(),
                    "at_ms": letter.at_ms,
                }
                for letter in letters
            ]
        )
    elif letters:
        print_table(
            ("offset", "from", "reason"),
            [
                (
                    letter.offset,
                    f"{letter.source.topic}/{letter.source.partition}/{letter.source.offset}",
                    letter.reason,
                )
                for letter in letters
            ],
        )
    else:
        click.echo("no dead letters")
