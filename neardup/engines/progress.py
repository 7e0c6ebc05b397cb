"""What the supervisor reports, for a person: bars on a terminal, one line a fact elsewhere. Always on stderr."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from neardup.engines.reporter import EnginePhase, Reporter

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["shown"]


@contextmanager
def shown() -> Iterator[Reporter]:
    """A reporter on stderr: rich bars when that is a terminal, plain lines when not."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<22}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bars(progress)


class _Lines:
    """One line for each artifact group that is complete and each engine that is up or down."""

    def waiting(self) -> None:
        self._print("another neardup engines command is at work in this home; waiting for it")

    def download(self, group: str, done: int, total: int) -> None:
        if done == total:
            self._print(f"{group}: downloaded {total / 1e6:.0f} MB")

    def engine(self, name: str, phase: EnginePhase, seconds: float) -> None:
        if phase in {"ready", "running", "stopped"}:
            self._print(f"{name}: {phase} ({seconds:.1f} s)")

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal


class _Bars:
    """A bar for each artifact group and each engine."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def waiting(self) -> None:
        self._progress.console.print("another neardup engines command is at work in this home; waiting for it")

    def download(self, group: str, done: int, total: int) -> None:
        task = self._task(f"download {group}")
        self._progress.update(task, completed=done, total=total, told=f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")

    def engine(self, name: str, phase: EnginePhase, seconds: float) -> None:
        task = self._task(name)
        finished = phase in {"ready", "running", "stopped"}
        told = f"{phase} ({seconds:.1f} s)" if finished else phase
        self._progress.update(task, completed=1 if finished else 0, total=1 if finished else None, told=told)

    def _task(self, description: str) -> "TaskID":
        with self._lock:
            if description not in self._tasks:
                self._tasks[description] = self._progress.add_task(description, total=None, told="")
            return self._tasks[description]
