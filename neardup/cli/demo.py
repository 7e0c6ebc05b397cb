"""`neardup demo`: the whole path on real photos, from nothing."""

from pathlib import Path

import click

from neardup.cli.output import json_option, print_json
from neardup.settings import load_settings

__all__ = ["demo"]


@click.command()
@click.option("--images", type=click.Path(path_type=Path, file_okay=False), help="Your photos instead of the sample.")
@click.option("--edits", type=click.IntRange(0, 100), default=8, show_default=True, help="Edited copies of each photo.")
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the contact sheet.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of publishing.")
@json_option
def demo(images: Path | None, edits: int, sheet: Path | None, seed: int, as_json: bool) -> None:
    """See the whole path work: engines, photos, edited copies, worker, clusters, figures.

    Starts the local engines, makes edited copies of photos, publishes all of them in random order, runs the worker
    until everything is decided and compares the clusters with the truth. The namespace "demo" is made anew each time.
    """
    from neardup.cli.demo_run import DemoRun

    run = DemoRun(load_settings(), quiet=as_json)
    result = run.go(images, edits=edits, sheet=sheet, seed=seed)
    if as_json:
        print_json(result)
    else:
        run.show(result)
