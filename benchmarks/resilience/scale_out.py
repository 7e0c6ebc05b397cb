"""Workers that come and go, several of a role at once, and a standby that takes over."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.report import Report
from benchmarks.resilience.trial import Trial, TrialResult
from neardup.settings import Settings

__all__ = ["Scale", "scale_out"]

_WORKERS: Final = (1, 2, 4)
_NOTICED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much: takeovers; images for each number of workers; workers that come or go; runs of a burst of `copies` of
    each of two images."""

    takeovers: int
    images: int
    changes: int
    runs: int
    copies: int


def scale_out(report: Report, settings: Settings, scale: Scale, *, log: Path, result: TrialResult) -> None:
    """All of it; adds what was found to `result`, and the figure `takeover_seconds`."""
    _takeovers(report, settings, times=scale.takeovers, log=log, result=result)
    _equal_partitions(report, settings, images=scale.images, log=log, result=result)
    _coming_and_going(report, settings, changes=scale.changes, log=log, result=result)
    _bursts(report, settings, runs=scale.runs, copies=scale.copies, log=log, result=result)


def _equal_partitions(report: Report, settings: Settings, *, images: int, log: Path, result: TrialResult) -> None:
    """The same images through 1, 2 and 4 proposing workers: the same clusters, whatever their heads."""
    for workers in _WORKERS:
        begun = time.monotonic()
        with _scaled(settings, workers, seed="equal", log=log) as running:
            for size in _sizes(images, 25):
                running.publish(running.corpus.batch(size))
            running.publish_late()
            _settle(running, f"{workers} workers", result)
            clusters = len(running.corpus.expected())
            result.ended(running.workers.ended, f"{workers} workers")
        seconds = time.monotonic() - begun
        report.row("equal partitions", workers=workers, images=images, clusters=clusters, seconds=seconds)
        report.note(f"{workers} proposing workers: {result}")


def _coming_and_going(report: Report, settings: Settings, *, changes: int, log: Path, result: TrialResult) -> None:
    """Joining and proposing workers come, end and are killed while images flow."""
    rng = random.Random(changes)
    came, left = 0, 0
    with _scaled(settings, 2, seed="churn", log=log) as running:
        for number in range(changes):
            role = rng.choice(("join", "propose"))
            names = running.workers.names(role)
            if len(names) < 2 or (len(names) < 4 and rng.random() < 0.5):
                running.workers.add(role, f"extra{number}")
                came += 1
            else:
                running.workers.remove(role, rng.choice(names), rng.choice((signal.SIGTERM, signal.SIGKILL)))
                left += 1
            for _ in range(rng.randint(1, 10)):
                running.publish(running.corpus.batch(rng.randint(1, 6)))
                running.pause(rng.uniform(0.0, 0.4))
        running.publish_late()
        _settle(running, "workers come and go", result)
        images = len(running.corpus.published)
        result.ended(running.workers.ended, "workers come and go")
    report.row("workers come and go", came=came, left=left, images=images)
    report.note(f"workers come and go: {result}")


def _bursts(report: Report, settings: Settings, *, runs: int, copies: int, log: Path, result: TrialResult) -> None:
    """Copies of one image and as many of another, shuffled, over four workers at once: exactly two clusters."""
    exact = 0
    seconds: list[float] = []
    for run in range(runs):
        with _scaled(settings, 4, seed=f"burst {run}", log=log) as running:
            shots = [*running.corpus.copies(0, copies), *running.corpus.copies(1, copies)]
            random.Random(run).shuffle(shots)
            begun = time.monotonic()
            running.publish(shots)
            before = str(result)
            _settle(running, f"burst {run}", result)
            seconds.append(time.monotonic() - begun)
            exact += str(result) == before
            result.ended(running.workers.ended, f"burst {run}")
        report.note(f"burst {run}: {seconds[-1]:.0f} s, {result}")
    report.row("bursts", runs=runs, copies_each=copies, exactly_two_clusters=exact, longest_seconds=max(seconds))


def _takeovers(report: Report, settings: Settings, *, times: int, log: Path, result: TrialResult) -> None:
    """The deciding assigner is killed for good while images flow; adds the figure `takeover_seconds`, the longest time
    until the standby's first decision."""
    waits: list[float] = []
    with _scaled(settings, 1, seed="takeover", log=log) as running:
        _decided(running, partial(_more, running, 0))
        for number in range(times):
            (deciding,) = running.workers.names("assign")
            # The one partition goes to the first member by name: a later name stands by.
            running.workers.add("assign", f"worker{number + 1}")
            # It must have joined the group, or this would measure its start.
            running.pause(8.0)
            _flow(running)
            running.workers.remove("assign", deciding, signal.SIGKILL)
            killed = time.monotonic()
            _decided(running, partial(_more, running, running.decisions()))
            waits.append(time.monotonic() - killed)
            report.note(f"takeover {number}: {waits[-1]:.2f} s")
        running.publish_late()
        _settle(running, "takeovers", result)
        result.ended(running.workers.ended, "takeovers")
    report.row("takeover", times=times, shortest_seconds=min(waits), longest_seconds=max(waits))
    report.figures["takeover_seconds"] = max(waits)


@contextmanager
def _scaled(settings: Settings, workers: int, *, seed: str, log: Path) -> Iterator[Trial]:
    """A namespace with this many proposing workers, half as many joining ones, and one of each other role."""
    with Trial(settings, seed=seed, log=log) as running:
        for number in range(workers):
            running.workers.add("propose", f"worker{number}")
        for number in range(max(1, workers // 2)):
            running.workers.add("join", f"worker{number}")
        running.workers.add("assign", "worker0")
        running.workers.add("project", "worker0")
        yield running


def _settle(running: Trial, what: str, result: TrialResult) -> None:
    if not running.drained():
        result.fail(f"{what}: not drained: {running.behind()}")
        return
    result.add(running.check(), what)
    result.add(running.replay(what), f"{what}, replay")


def _flow(running: Trial) -> None:
    running.publish(running.corpus.batch(2))
    running.pause(0.1)


def _decided(running: Trial, enough: Callable[[], bool]) -> None:
    """Publish until `enough`. Raises TimeoutError."""
    deadline = time.monotonic() + _NOTICED_SECONDS
    while not enough():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no decision within {_NOTICED_SECONDS:.0f} s: {running.behind()}")
        _flow(running)


def _more(running: Trial, than: int) -> bool:
    return running.decisions() > than


def _sizes(total: int, most: int) -> list[int]:
    return [most] * (total // most) + ([total % most] if total % most else [])
