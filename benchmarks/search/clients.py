"""Several clients at once, each a process of its own: threads would wait for one another while they decode JSON."""

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from neardup.settings import Settings
from neardup.types import CandidateList, Probe
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from query.opensearch import OpenSearchCandidateSearch

__all__ = ["Clients", "Job", "Load", "open_search", "timed"]

_HEAD_START_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How to search: `batch` probes with one call."""

    names: IndexNames
    limit: int
    minimum_overlap: int
    batch: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """What some clients measured: the time of every call, and of all together."""

    milliseconds: list[float]
    seconds: float
    probes: int

    @property
    def per_second(self) -> float:
        return self.probes / self.seconds


class Clients:
    """`count` processes that wait for work. A context manager."""

    def __init__(self, settings: Settings, count: int) -> None:
        context = get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(settings, theirs), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            with suppress(BrokenPipeError):
                pipe.send(None)
            process.join(10)

    def run(self, probes: Sequence[Probe], job: Job, *, clients: int) -> Load:
        """Divide the probes among so many clients, who begin at the same moment."""
        pipes = self._pipes[:clients]
        for number, pipe in enumerate(pipes):
            pipe.send((list(probes[number::clients]), job))
        for pipe in pipes:
            assert pipe.recv() == "ready"
        begin = time.monotonic() + _HEAD_START_SECONDS
        for pipe in pipes:
            pipe.send(begin)
        answers = [pipe.recv() for pipe in pipes]
        return Load(
            [spent for answer in answers for spent in answer[1]],
            max(answer[0] for answer in answers) - begin,
            len(probes),
        )


def open_search(settings: Settings, names: IndexNames) -> OpenSearchCandidateSearch:
    """The product's candidate search. Its connection lives as long as the process."""
    assert settings.opensearch.url
    return OpenSearchCandidateSearch(connect(settings.opensearch, settings.opensearch.url), names)


def _serve(settings: Settings, pipe: Connection) -> None:
    """One client: a job, "ready", the moment to begin, then the moment it ended and the milliseconds of each call."""
    # Ctrl-C reaches the whole group; the parent then says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while (work := pipe.recv()) is not None:
        probes, job = work
        search = open_search(settings, job.names)
        pipe.send("ready")
        begin = pipe.recv()
        time.sleep(max(0.0, begin - time.monotonic()))
        spent = [timed(search, probes[start : start + job.batch], job)[0] for start in range(0, len(probes), job.batch)]
        pipe.send((time.monotonic(), spent))


def timed(search: OpenSearchCandidateSearch, probes: Sequence[Probe], job: Job) -> tuple[float, list[CandidateList]]:
    """One call of the product: milliseconds and what came."""
    begun = time.perf_counter()
    lists = search.search(probes, limit=job.limit, minimum_overlap=job.minimum_overlap)
    return (time.perf_counter() - begun) * 1e3, lists
