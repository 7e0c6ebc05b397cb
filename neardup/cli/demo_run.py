"""What `neardup demo` does, stage by stage."""

import os
import random
import sys
from pathlib import Path
from typing import Any

import click

from neardup.cli.add import find_images
from neardup.cli.output import print_table
from neardup.cli.path_run import PathRun
from neardup.cli.wiring import Wiring
from neardup.demo.corpus import Copy, clear, image_id, make_copies, plan_copies, sample_photos
from neardup.demo.sheet import write_sheet
from neardup.embedder.fence import Fence
from neardup.errors import ConfigError
from neardup.evaluation.figures import found_by_edit, judge
from neardup.settings import Settings
from neardup.types import ImageId

__all__ = ["DemoRun"]

NAMESPACE = "demo"


class DemoRun:
    """One demo. `quiet`: no progress, for programs. Raises ConfigError."""

    def __init__(self, settings: Settings, *, quiet: bool) -> None:
        if settings.lsh.model is not None:
            raise ConfigError("NEARDUP_LSH__MODEL: the demo has embeddings of its own; unset it")
        self._folder = settings.local.home / "demo"
        self._fence = Fence(settings.decode)
        self._path = PathRun(settings, NAMESPACE, self._folder, quiet=quiet)

    def go(self, images: Path | None, *, edits: int, sheet: Path | None, seed: int) -> dict[str, Any]:
        """Run everything; returns the figures. Raises NearDupError."""
        photos = sample_photos() if images is None else find_images((images,))
        sheet = sheet or self._folder / "contact-sheet.html"
        path = self._path
        with path.prepared() as wiring:
            clear(self._folder / "images")
            with path.worker() as check:
                with path.timed("edited copies"):
                    files = self._copies(plan_copies(photos, self._folder / "images", edits_a_photo=edits))
                order = list(files)
                random.Random(seed).shuffle(order)  # noqa: S311 - an order, not a secret
                with path.timed("embedding"):
                    ids = {file: image_id(file) for file in order}
                    published = path.publish(wiring, ids, check, metadata={"source": "demo"})
                with path.timed("worker"):
                    path.drain(len(published), check)
            with path.timed("contact sheet"):
                result = self._judge(wiring, {file: files[file] for file in order}, sheet)
        self._fence.close()
        return result

    def show(self, result: dict[str, Any]) -> None:
        """Print the figures for a person, and what to try next."""
        print_table(
            ("cluster head", "images", "photos in it"),
            [(row["head"], row["size"], row["sources"]) for row in result["largest_clusters"]],
            title="\nThe largest clusters",
        )
        click.echo(f"\n{result['images']} images of {result['photos']} photos in {result['clusters']} clusters")
        click.echo(f"precision of pairs {result['precision']:.4f}, recall of pairs {result['recall']:.4f}")
        click.echo(f"edited copies with their photo: {result['edits_found']:.4f}")
        if missed := [f"{edit} {found}/{of}" for edit, (found, of) in result["by_edit"].items() if found < of]:
            click.echo("not all found: " + ", ".join(missed))
        click.echo(f"slowest step: {result['slowest_step']} ({result['seconds'][result['slowest_step']]:.1f} s)")
        click.echo(f"contact sheet: {result['contact_sheet']}")
        program = _program()
        click.echo(f"\nTry next (the engines go on running; `{program} engines down` stops them):")
        for command in (f"query {result['example']}", f"members {result['example']}", "clusters export"):
            click.echo(f"  NEARDUP_NAMESPACE={NAMESPACE} {program} {command}")

    def _copies(self, copies: list[Copy]) -> dict[Path, Copy]:
        task = self._path.progress.add_task("edited copies", total=len(copies))
        files = {}
        for copy, made in make_copies(copies, decode=self._fence.decode):
            self._path.progress.advance(task)
            if isinstance(made, Path):
                files[made] = copy
            else:
                self._path.complain(copy.photo, made)
        return files

    def _judge(self, wiring: Wiring, files: dict[Path, Copy], sheet: Path) -> dict[str, Any]:
        heads = {placement.image_id: placement.head for placement in wiring.store.placements_all()}
        truth = {image_id(file): copy.source for file, copy in files.items()}
        originals = {copy.source: image_id(file) for file, copy in files.items() if copy.edit is None}
        figures = judge(truth, heads)
        by_edit = found_by_edit(
            [
                (copy.edit_name, image_id(file), originals[copy.source])
                for file, copy in files.items()
                if copy.edit is not None and copy.source in originals
            ],
            heads,
        )
        found, of = (sum(counts) for counts in zip(*by_edit.values(), strict=True)) if by_edit else (0, 0)
        clusters = _clusters(truth, heads)
        facts = [
            ("images", str(figures.images)),
            ("photos", str(len(originals))),
            ("clusters", str(figures.clusters)),
            ("precision of pairs", f"{figures.precision:.4f}"),
            ("recall of pairs", f"{figures.recall:.4f}"),
            ("copies with their photo", f"{found} of {of}"),
        ]
        write_sheet(
            sheet,
            images=[(image_id(file), copy.source, copy.edit_name, file) for file, copy in files.items()],
            heads=heads,
            figures=figures,
            facts=facts,
            decode=self._fence.decode,
        )
        seconds = {stage: round(spent, 2) for stage, spent in self._path.seconds.items()}
        return {
            "precision": figures.precision,
            "recall": figures.recall,
            "edits_found": found / of if of else 1.0,
            "images": figures.images,
            "photos": len(originals),
            "clusters": figures.clusters,
            "mixed_clusters": list(figures.mixed),
            "by_edit": {edit: list(counts) for edit, counts in sorted(by_edit.items())},
            "largest_clusters": clusters[:8],
            "seconds": seconds,
            "slowest_step": max(seconds, key=lambda stage: seconds[stage]),
            "contact_sheet": str(sheet.absolute()),
            "example": clusters[0]["head"],
        }


def _program() -> str:
    """How to call this program from where the user is: an environment that is not activated needs the path."""
    in_environment = sys.prefix != sys.base_prefix
    return os.path.relpath(sys.argv[0]) if in_environment and "VIRTUAL_ENV" not in os.environ else "neardup"


def _clusters(truth: dict[ImageId, str], heads: dict[ImageId, ImageId]) -> list[dict[str, Any]]:
    """Clusters, largest first: head, size and the photos in them."""
    found: dict[ImageId, list[str]] = {}
    for member, source in truth.items():
        found.setdefault(heads.get(member, member), []).append(source)
    rows = [
        {"head": head, "size": len(sources), "sources": ", ".join(sorted(set(sources)))}
        for head, sources in found.items()
    ]
    return sorted(rows, key=lambda row: (-len(found[ImageId(str(row["head"]))]), row["head"]))
