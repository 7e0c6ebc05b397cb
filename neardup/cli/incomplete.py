"""`neardup incomplete`."""

from datetime import UTC, datetime
from itertools import islice

import click

from neardup.cli.output import json_option, print_json, print_table

__all__ = ["incomplete"]


@click.group()
def incomplete() -> None:
    """Images of which one embedding came and the other did not, within the grace."""


@incomplete.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """List incomplete images, those given up first first within a partition.

    Each is completed when the missing embedding comes after all, in the same version.
    """
    from neardup.cli.wiring import opened
    from neardup.incomplete import read_incomplete

    with opened() as wiring:
        every = read_incomplete(wiring.kafka, wiring.topics, partitions=wiring.settings.kafka.partitions)
        images = list(islice(every, limit))
        more = sum(1 for _ in every)
    if as_json:
        print_json(
            {
                "count": len(images) + more,
                "images": [
                    {
                        "image_id": image.image_id,
                        "version": image.version,
                        "missing": image.missing,
                        "partition": image.partition,
                        "at_ms": image.at_ms,
                    }
                    for image in images
                ],
            }
        )
    elif images:
        print_table(
            ("image", "version", "missing", "given up"),
            [
                (
                    image.image_id,
                    image.version,
                    image.missing,
                    datetime.fromtimestamp(image.at_ms / 1000, tz=UTC).isoformat(timespec="seconds"),
                )
                for image in images
            ],
        )
        click.echo(f"{len(images) + more} incomplete images" + (f", {more} not shown" if more else ""))
    else:
        click.echo("no incomplete images")
