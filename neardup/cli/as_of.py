"""The option `--as-of TIME|SEQ`: clusters as they were."""

from typing import TYPE_CHECKING

import click

from neardup.times import epoch_ms

if TYPE_CHECKING:
    from neardup.cli.wiring import Wiring
    from query.past import PastImages

__all__ = ["as_of_option", "past_images"]

as_of_option = click.option(
    "--as-of",
    metavar="TIME|SEQ",
    help="As it was at this time, such as 2026-01-31T12:00:00Z, or after this seq of the ledger.",
)


def past_images(wiring: "Wiring", text: str) -> "PastImages":
    """The clusters as of what the option says. Raises click.BadParameter."""
    similar = wiring.similar_images
    if text.isascii() and text.isdigit():
        return similar.as_of(int(text))
    try:
        return similar.as_of_time(epoch_ms(text))
    except ValueError as exc:
        raise click.BadParameter(f"{exc}; or write a seq", param_hint="--as-of") from exc
