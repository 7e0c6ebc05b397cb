"""What `neardup demo` does, stage by stage."""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from indexer.publisher import EmbeddingPublisher
from neardup.cli.add import embed_files, find_images
from neardup.cli.drain import Drain
from neardup.cli.output import print_table
from neardup.cli.wiring import Wiring
from neardup.cli.worker import ROLES, role_command
from neardup.demo.corpus import Copy, clear, image_id, make_copies, plan_copies, sample_photos
from neardup.demo.figures import found_by_edit, judge
from neardup.demo.sheet import write_sheet
from neardup.embedder.fence import Fence
from neardup.engines.reporter import EnginePhase
from neardup.engines.supervisor import up
from neardup.errors import ConfigError, UnavailableError
from neardup.settings import Settings
from neardup.supervisor import Supervisor
from neardup.types import ImageId

__all__ = ["DemoRun"]

NAMESPACE = "demo"
_STALLED_SECONDS = 150.0
_STAGES = ("joined", "proposed", "decided", "graph", "index", "cache", "feed")


class DemoRun:
    """One demo. `quiet`: no progress, for programs."""

    def __init__(self, settings: Settings, *, quiet: bool) -> None:
        self._settings = settings.model_copy(update={"namespace": NAMESPACE})
        self._folder = settings.local.home / "demo"
        self._log = self._folder / "worker.log"
        self._fence = Fence(settings.decode)
        self._seconds: dict[str, float] = {}
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet,
        )

    def go(self, images: Path | None, *, edits: int, sheet: Path | None, seed: int) -> dict[str, Any]:
        """Run everything; returns the figures. Raises NearDupError."""
        photos = sample_photos() if images is None else find_images((images,))
        sheet = sheet or self._folder / "contact-sheet.html"
        with self._progress:
            with self._timed("engines"):
                up(self._settings, reporter=_EngineBars(self._progress))
            with self._timed("setting up"):
                if self._settings.lsh.model is not None:
                    raise ConfigError("NEARDUP_LSH__MODEL: the demo has embeddings of its own; unset it")
                wiring = Wiring(self._settings)
                wiring.drop()
                wiring.setup()
            clear(self._folder / "images")
            with self._worker() as check:
                with self._timed("edited copies"):
                    files = self._copies(plan_copies(photos, self._folder / "images", edits_a_photo=edits))
                order = list(files)
                random.Random(seed).shuffle(order)  # noqa: S311 - an order, not a secret
                with self._timed("embedding"):
                    published = self._publish(wiring, order, check)
                with self._timed("worker"):
                    self._drain(published, check)
            with self._timed("contact sheet"):
                result = self._judge(wiring, {file: files[file] for file in order}, sheet)
        self._fence.close()
        wiring.close()
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

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self._seconds[stage] = time.monotonic() - begun

    @contextmanager
    def _worker(self) -> Iterator["_Check"]:
        """The worker's processes, watched as long as the demo runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"NEARDUP_NAMESPACE": NAMESPACE}
        with self._log.open("wb") as stderr:
            supervisor = Supervisor(
                {role: role_command(role, "demo") for role in ROLES}, stderr=stderr, environment=environment
            )
            check = _Check(supervisor, self._log)
            try:
                yield check
            finally:
                check.end()
                supervisor.stop()

    def _copies(self, copies: list[Copy]) -> dict[Path, Copy]:
        task = self._progress.add_task("edited copies", total=len(copies))
        files = {}
        for copy, made in make_copies(copies, decode=self._fence.decode):
            self._progress.advance(task)
            if isinstance(made, Path):
                files[made] = copy
            else:
                self._complain(copy.photo, made)
        return files

    def _publish(self, wiring: Wiring, files: list[Path], check: "_Check") -> int:
        publisher = EmbeddingPublisher(wiring.kafka, wiring.topics)
        task = self._progress.add_task("embedded and published", total=len(files))
        published = 0
        for file, result in embed_files(files, self._settings.embedder):
            check()
            self._progress.advance(task)
            if isinstance(result, str):
                self._complain(file, result)
            else:
                publisher.publish(image_id(file), result, metadata={"source": "demo"})
                published += 1
        publisher.flush()
        publisher.close()
        return published

    def _drain(self, published: int, check: "_Check") -> None:
        drain = Drain(self._settings)
        tasks = {stage: self._progress.add_task(_LABELS[stage], total=published) for stage in _STAGES}
        moved, last = time.monotonic(), dict.fromkeys(_STAGES, 0)
        try:
            while True:
                check()
                try:
                    counts = drain.progress()
                    done = drain.done()
                except UnavailableError:
                    counts, done = last, False
                for stage, count in counts.items():
                    self._progress.update(tasks[stage], completed=min(count, published))
                if done:
                    return
                if counts != last:
                    moved, last = time.monotonic(), counts
                elif time.monotonic() - moved > _STALLED_SECONDS:
                    raise UnavailableError(
                        f"nothing has moved for {_STALLED_SECONDS:.0f} s, of {published} images: {last}; "
                        f"the worker's log says why: {self._log}"
                    )
                time.sleep(0.2)
        finally:
            drain.close()

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
        seconds = {stage: round(spent, 2) for stage, spent in self._seconds.items()}
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

    def _complain(self, file: Path, reason: str) -> None:
        self._console.print(f"{file}: {reason}", style="red", soft_wrap=True, highlight=False)


_LABELS = {
    "joined": "worker: joined",
    "proposed": "worker: searched and scored",
    "decided": "assigner: decided",
    "graph": "applied to the graph",
    "index": "applied to the index",
    "cache": "applied to the cache",
    "feed": "applied to the change feed",
}


class _Check:
    """Keeps the worker's roles running from a thread of its own; calling it raises what ended a role for good."""

    def __init__(self, supervisor: Supervisor, log: Path) -> None:
        self._supervisor = supervisor
        self._log = log
        self._code: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="worker-supervisor")
        self._thread.start()

    def __call__(self) -> None:
        if self._code is not None:
            last = self._log.read_text(errors="replace").splitlines()[-3:]
            raise ConfigError("the worker ended: " + " | ".join(last))

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._code is None and not self._stop.wait(0.25):
            self._code = self._supervisor.check()


class _EngineBars:
    """Port neardup.engines.reporter.Reporter: a bar a download, a line an engine."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def waiting(self) -> None:
        self._progress.console.print("another neardup command is starting engines; waiting for it")

    def download(self, group: str, done: int, total: int) -> None:
        if group not in self._tasks:
            self._tasks[group] = self._progress.add_task(f"downloading {group} (MB)", total=total // 2**20)
        self._progress.update(self._tasks[group], completed=done // 2**20)

    def engine(self, name: str, phase: EnginePhase, seconds: float) -> None:
        task = self._tasks.get("engines")
        if task is None:
            task = self._tasks["engines"] = self._progress.add_task("engines ready", total=5)
        if phase in {"ready", "running"}:
            self._progress.advance(task)


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
