"""`neardup models`: versions of the scorer, as files."""

from pathlib import Path

import click

from neardup.cli.output import json_option, print_json
from neardup.cli.training_extra import needing_tensorflow

__all__ = ["models"]


@click.group()
def models() -> None:
    """Versions of the scorer's model."""


@models.command()
@click.option("--version", type=click.IntRange(1), required=True, help="Number of the version.")
@click.option(
    "--to",
    "destination",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of models; the version goes to TO/neardup/VERSION.",
)
@click.option("--model-dir", type=click.Path(path_type=Path), help="Folder of versions; default: the shipped ones.")
@click.option("--model-name", default="neardup", show_default=True)
@json_option
def export(*, version: int, destination: Path, model_dir: Path | None, model_name: str, as_json: bool) -> None:
    """Write a version as a SavedModel for TensorFlow Serving, with the ONNX model and the calibration beside it.

    Both models are compared on random and extreme pairs; when their scores differ by more than 0.00001, nothing is
    written. Needs TensorFlow: pip install neardup[train].
    """
    from scorer.layout import shipped_models

    with needing_tensorflow("the export"):
        from scorer.saved_model import export as export_version
    done = export_version(model_dir or shipped_models(), version, destination / model_name)
    if as_json:
        print_json({"folder": str(done.folder), "difference": done.difference, "pairs": done.pairs})
    else:
        click.echo(
            f"{done.folder}: scores of both models differ by at most {done.difference:.2g} on {done.pairs} pairs"
        )
