"""`neardup evaluate` and `neardup edits`: the clusters of known pictures against the truth."""

from pathlib import Path

import click

from neardup.cli.output import json_option, print_json
from neardup.settings import load_settings

__all__ = ["edits", "evaluate"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report with pictures.")
@click.option("--clusters", type=click.Path(path_type=Path, dir_okay=False), help="Write path,head as CSV.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of publishing.")
@json_option
def evaluate(manifest: Path, html: Path | None, clusters: Path | None, seed: int, as_json: bool) -> None:
    """Cluster the pictures of MANIFEST by the whole path and compare with what they are.

    MANIFEST is CSV with the columns path,source_id,edit and, if you like, difficulty and source (a collection). Paths
    are relative to it; pictures of one source_id belong together; an edit that is empty or "original" marks the picture
    that the others were made from. Starts the local engines, publishes in random order and runs the worker, in the
    namespace "evaluate", which is made anew and removed afterwards.
    """
    from neardup.cli.evaluate_run import EvaluationRun

    run = EvaluationRun(load_settings(), quiet=as_json)
    result = run.go(manifest, html=html, clusters=clusters, seed=seed)
    if as_json:
        print_json(result.as_json())
    else:
        run.show(result)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=_FOLDER)
@click.option("--out", type=_FOLDER, required=True, help="Folder for the copies and manifest.csv; new or empty.")
@click.option("--hard", is_flag=True, help="The harder edits, too.")
@click.option("--each", type=click.IntRange(1), help="So many edits of each picture, in turn; default: all.")
@click.option("--others", type=_FOLDER, help="Pictures for insets, collages and blends; default: drawn ones.")
@click.option("--at-most", type=click.IntRange(1), help="Pictures of each folder.")
@json_option
def edits(
    *,
    folders: tuple[Path, ...],
    out: Path,
    hard: bool,
    each: int | None,
    others: Path | None,
    at_most: int | None,
    as_json: bool,
) -> None:
    """Make edited copies of the pictures in FOLDERS, and the manifest for `neardup evaluate`.

    Every folder is one source (a collection) in the manifest. The same pictures give the same copies. --others should
    hold none of these pictures, and as many or more, so that no two pictures share one.
    """
    from neardup.cli.add import find_images
    from neardup.cli.edits_run import make_copies

    pictures = {folder: find_images((folder,))[:at_most] for folder in folders}
    result = make_copies(
        pictures, out, hard=hard, each=each, others=find_images((others,)) if others else None, quiet=as_json
    )
    if as_json:
        print_json(result)
    else:
        click.echo("{images} images of {pictures} pictures; next: neardup evaluate {manifest}".format(**result))
