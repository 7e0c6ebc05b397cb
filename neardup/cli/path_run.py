"""Files through the whole real path, in a namespace of their own: what `neardup demo` and `neardup evaluate` share."""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from indexer.publisher import EmbeddingPublisher
from neardup.cli.add import embed_files
from neardup.cli.drain import Drain
from neardup.cli.wiring import Wiring
from neardup.cli.worker import ROLES, role_command
from neardup.engines.reporter import EnginePhase
from neardup.engines.supervisor import up
from neardup.errors import ConfigError, InvalidMessageError, UnavailableError
from neardup.settings import Settings
from neardup.supervisor import Supervisor
from neardup.telemetry import configure_logging
from neardup.types import Embeddings, ImageId

__all__ = ["PathRun"]

_STALLED_SECONDS = 150.0
_LABELS = {
    "joined": "worker: joined",
    "proposed": "worker: searched and scored",
    "decided": "assigner: decided",
    "graph": "applied to the graph",
    "index": "applied to the index",
    "cache": "applied to the cache",
    "feed": "applied to the change feed",
    "history": "applied to the history",
}


class PathRun:
    """One run. `folder` gets the worker's log; `quiet`: no progress, for programs. `seconds`: what each stage took."""

    def __init__(self, settings: Settings, namespace: str, folder: Path, *, quiet: bool) -> None:
        self.settings = settings.model_copy(update={"namespace": namespace})
        self.seconds: dict[str, float] = {}
        self._folder = folder
        self._log = folder / "worker.log"
        self._console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet,
        )

    @contextmanager
    def prepared(self) -> Iterator[Wiring]:
        """Engines up, the namespace made anew. Raises NearDupError."""
        # Standard output is for what the command prints.
        configure_logging(verbose=False)
        # It warns of a 404 also where one is expected: of a namespace that is not there yet.
        logging.getLogger("opensearch").setLevel(logging.ERROR)
        with self.progress:
            with self.timed("engines"):
                up(self.settings, reporter=_EngineBars(self.progress))
            with self.timed("setting up"):
                wiring = Wiring(self.settings)
                wiring.drop()
                wiring.setup()
            try:
                yield wiring
            finally:
                wiring.close()

    @contextmanager
    def worker(self) -> Iterator["_Check"]:
        """The worker's processes, watched as long as the block runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        namespace = self.settings.namespace
        environment = os.environ | {"NEARDUP_NAMESPACE": namespace}
        with self._log.open("wb") as stderr:
            supervisor = Supervisor(
                {role: role_command(role, namespace) for role in ROLES}, stderr=stderr, environment=environment
            )
            check = _Check(supervisor, self._log)
            try:
                yield check
            finally:
                check.end()
                supervisor.stop()

    def publish(
        self, wiring: Wiring, files: Mapping[Path, ImageId], check: "_Check", metadata: Mapping[str, str]
    ) -> dict[ImageId, Embeddings]:
        """Embed the files and publish them in their order; those that are no images are complained about and left
        out."""
        publisher = EmbeddingPublisher(wiring.kafka, wiring.topics)
        task = self.progress.add_task("embedded and published", total=len(files))
        published = {}
        for file, result in embed_files(list(files), self.settings.embedder):
            check()
            self.progress.advance(task)
            if isinstance(result, str):
                self.complain(file, result)
                continue
            try:
                publisher.publish(files[file], result, metadata=metadata)
            except InvalidMessageError as exc:
                self.complain(file, str(exc))
            else:
                published[files[file]] = result
        publisher.flush()
        publisher.close()
        return published

    def drain(self, published: int, check: "_Check") -> None:
        """Wait until everything is decided and applied. Raises UnavailableError when nothing moves any more."""
        drain = Drain(self.settings)
        tasks = {stage: self.progress.add_task(label, total=published) for stage, label in _LABELS.items()}
        moved, last = time.monotonic(), dict.fromkeys(_LABELS, 0)
        try:
            while True:
                check()
                try:
                    counts = drain.progress()
                    done = drain.done()
                except UnavailableError:
                    counts, done = last, False
                for stage, count in counts.items():
                    self.progress.update(tasks[stage], completed=min(count, published))
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

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Take the time of a stage."""
        begun = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - begun

    def complain(self, file: Path, reason: str) -> None:
        """One line about a file on standard error."""
        self._console.print(f"{file}: {reason}", style="red", soft_wrap=True, highlight=False)


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
