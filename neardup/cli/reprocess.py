"""`neardup reprocess`: search, score and decide images again, in the low-priority lane of the search limit."""

from pathlib import Path

import click

from neardup.cli.output import json_option, print_json
from neardup.types import ImageId

__all__ = ["reprocess"]

_SHOWN = 20


@click.command()
@click.option(
    "--ids", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file, one image id a line."
)
@click.option("--source", help="Images whose metadata has this source.")
@click.option("--time-range", help="Images last decided between two times, A..B (ISO 8601 with time zone).")
@click.option("--model-version", type=int, help="Images last decided with this version of the scorer's model.")
@click.option("--dry-run", is_flag=True, help="Search and score, show which images would move and why; write nothing.")
@click.option("--wait", is_flag=True, help="Return when all are decided.")
@json_option
def reprocess(  # noqa: PLR0917 - one for each option
    ids: Path | None,
    source: str | None,
    time_range: str | None,
    model_version: int | None,
    dry_run: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Decide images again as they are kept, with the model and the clusters of today.

    Their version stays, their run is one more. Forced images stay where they are. Searches keep the limit of the lane
    `reprocess`, so new images are not held up. Options that choose images are combined. Safe to interrupt and repeat.
    """
    from neardup.cli.reprocessing import Reprocessing
    from neardup.cli.wiring import opened

    if ids is None and source is None and time_range is None and model_version is None:
        raise click.UsageError("give --ids, --source, --time-range or --model-version")
    with opened() as wiring:
        work = Reprocessing(wiring, say=lambda text: None if as_json else click.echo(text, err=True))
        try:
            chosen = work.choose(
                ids=None if ids is None else _ids(ids),
                time_range=None if time_range is None else _range(time_range),
                model_version=model_version,
            )
            report = work.run(chosen, source=source, dry_run=dry_run, wait=wait)
        finally:
            work.close()
    if as_json:
        print_json(report)
        return
    for line in report["moves"][:_SHOWN]:
        where = "a cluster of its own" if line["to"] is None else f"cluster {line['to']}"
        click.echo(f"{line['image_id']}: from cluster {line['from']} to {where} ({line['rule']})")
    click.echo(
        f"{report['images']} images {'searched' if dry_run else 'sent'}, {len(report['moves'])} would move"
        if dry_run
        else f"{report['images']} images sent to be decided again"
    )


def _ids(path: Path) -> set[ImageId]:
    found = {ImageId(line.strip()) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()}
    if not found:
        raise click.BadParameter(f"{path} names no image", param_hint="--ids")
    return found


def _range(text: str) -> tuple[int, int]:
    from neardup.times import epoch_ms

    first, dots, last = text.partition("..")
    if not dots:
        raise click.BadParameter(f"{text!r} is not of the form A..B", param_hint="--time-range")
    try:
        return epoch_ms(first), epoch_ms(last)
    except ValueError as exc:
        raise click.BadParameter(f"{text!r}: {exc}", param_hint="--time-range") from None
