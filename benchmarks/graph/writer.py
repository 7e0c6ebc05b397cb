"""A process that adds members to a cluster at a steady rate, as the projector does while a picture spreads."""

import signal
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from benchmarks.graph.corpus import Cluster
from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from neardup.settings import Settings
from neardup.testing import position_of

__all__ = ["Writer", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """What the writer did: the time of each transaction, and all of them."""

    milliseconds: list[float]
    seconds: float

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds


class Writer:
    """Applies one decision a transaction, from seq `first` on. A context manager; `written` is there at its end."""

    def __init__(self, settings: Settings, cluster: Cluster, *, first: int, per_second: float) -> None:
        self.written = Written([], 0.0)
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_write, args=(settings, cluster, first, per_second, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        assert self._pipe.recv() == "running"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.send("stop")
        self.written = Written(*self._pipe.recv())
        self._process.join(10)


def _write(settings: Settings, cluster: Cluster, first: int, per_second: float, pipe: Connection) -> None:
    # Ctrl-C reaches the whole group; the parent then says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert settings.janusgraph.url
    with Gremlin(settings.janusgraph, settings.janusgraph.url) as gremlin:
        store = JanusGraphClusterStore(gremlin, GraphNames(settings.namespace))
        spent: list[float] = []
        begun = time.monotonic()
        while not pipe.poll(max(0.0, begun + len(spent) / per_second - time.monotonic())):
            decision = cluster.joins(first + len(spent))
            before = time.perf_counter()
            store.apply([decision], upto=position_of(decision))
            spent.append((time.perf_counter() - before) * 1e3)
            if len(spent) == 1:
                pipe.send("running")
        pipe.send((spent, time.monotonic() - begun))
