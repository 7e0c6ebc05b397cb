"""`neardup calibrate`: a match threshold and a head bound from known pictures."""

from pathlib import Path

import click

from neardup.cli.output import json_option, print_json
from neardup.settings import load_settings

__all__ = ["calibrate"]

_SHARE = click.FloatRange(0, 1)


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--precision", type=_SHARE, default=0.999, show_default=True, help="Of pairs, over all sources.")
@click.option("--confidence", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True)
@click.option("--worst-precision", type=_SHARE, default=0.99, show_default=True, help="Of pairs, in the worst source.")
@click.option(
    "--worst-wrong-share",
    type=_SHARE,
    default=0.002,
    show_default=True,
    help="Images in a wrong cluster, in the worst source.",
)
@click.option("--orders", type=click.IntRange(1), default=2, show_default=True, help="Orders of arrival; worst counts.")
@click.option("--model-dir", type=click.Path(path_type=Path), help="Folder of versions; default: that of the settings.")
@click.option("--version", type=click.IntRange(1), help="Version to calibrate; default: the newest.")
@click.option("--save-as", type=click.IntRange(1), help="Write the model with the chosen bounds as this new version.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write curves and tables as a page.")
@json_option
def calibrate(
    *,
    manifest: Path,
    precision: float,
    confidence: float,
    worst_precision: float,
    worst_wrong_share: float,
    orders: int,
    model_dir: Path | None,
    version: int | None,
    save_as: int | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Choose the match threshold for a version of the scorer from the pictures of MANIFEST.

    MANIFEST is that of `neardup evaluate`; pictures that belong to no other are look-alikes that nothing may be merged
    with. Each source (a collection) is clustered by itself, without engines, under many thresholds and head bounds; of
    those that hold the limits the one with the highest recall is taken. Prints what precision and recall every
    threshold gives and how many false matches to expect in corpora of 1 k, 10 k and 100 k images.

    Nothing is changed without --save-as: a new version gets the bounds, and servers that follow the folder serve it.
    Exit code 1 when no threshold holds the limits.
    """
    from neardup.cli.calibrate_run import Calibrating
    from neardup.evaluation.thresholds import Limits

    run = Calibrating(
        load_settings(),
        model_dir=model_dir,
        version=version,
        limits=Limits(precision=precision, worst_precision=worst_precision, worst_wrong_share=worst_wrong_share),
        confidence=confidence,
        orders=orders,
        quiet=as_json,
    )
    result = run.go(manifest)
    if html:
        run.write_page(result, html)
    if save_as is not None and result.chosen is not None:
        run.save(result.chosen, save_as)
    if as_json:
        print_json(result.as_json())
    else:
        run.show(result)
    if result.chosen is None:
        raise click.exceptions.Exit(1)
