"""`neardup verify`: whether graph, index, cache and change feed agree with the ledger, and mending what does not."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from neardup.agreement import Disagreement
from neardup.cli.output import json_option, print_json

__all__ = ["verify"]

_SHOWN = 50


@click.command()
@click.option("--repair", is_flag=True, help="Write again from the ledger what does not agree with it.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds that a projection may take to come to where the ledger is.",
)
@json_option
def verify(repair: bool, patience: float, as_json: bool) -> None:
    """Compare graph, index, cache and change feed with the ledger.

    The ledger is folded from its first entry. Each projection is compared with it as of the position that it has
    applied, so images may flow meanwhile. Every disagreement is one line: place, image or cluster, what is wrong. Ends
    with exit code 1 when there is any, with --repair when any is left.
    """
    from neardup.cli.repair import Repair
    from neardup.cli.verification import Verification
    from neardup.cli.wiring import opened

    def say(text: str) -> None:
        if not as_json:
            click.echo(f"{text} …", err=True)

    with opened() as wiring, Verification(wiring, patience_seconds=patience, say=say) as verification:
        found = verification.check_projections()
        left = found
        if repair and found:
            Repair(wiring, verification, say=say).mend(found)
            left = verification.check_projections()
        state = verification.fold.state
        report: dict[str, Any] = {
            "seq": state.seq,
            "images": sum(1 for _ in state.placements()),
            "clusters": sum(1 for _ in state.clusters()),
            "disagreements": [asdict(one) for one in found],
        }
    if repair:
        report["left"] = [asdict(one) for one in left]
    if as_json:
        print_json(report)
    else:
        _print(found, heading="")
        if repair and found:
            click.echo(f"{len(found) - len(left)} of {len(found)} mended")
            _print(left, heading="still wrong:")
        if not left:
            click.echo(
                f"{report['images']} images in {report['clusters']} clusters agree with the ledger up to seq "
                f"{report['seq']}: graph, index, cache and change feed"
            )
    if left:
        sys.exit(1)


def _print(found: Sequence[Disagreement], *, heading: str) -> None:
    if found and heading:
        click.echo(heading)
    for one in found[:_SHOWN]:
        click.echo(str(one))
    if len(found) > _SHOWN:
        click.echo(f"… and {len(found) - _SHOWN} more (--json prints all)")
    for (place, kind), times in sorted(Counter((one.place, one.kind) for one in found).items()):
        click.echo(f"{place}: {times} {kind}")
