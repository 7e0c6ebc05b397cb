"""What is seen from outside while images flow: when each projection had applied which seq, and when decisions came."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from typing import Self

import numpy as np
import numpy.typing as npt
from kafka import TopicPartition

from neardup.cli.wiring import Wiring
from neardup.entries import Decision
from neardup.errors import UnavailableError
from neardup.records import decode_entry

__all__ = ["Timeline", "Watch"]

_EVERY_SECONDS = {"cache": 0.005, "graph": 0.1, "index": 0.2}
"""Seldom where asking costs the engine something: it would count as the product's."""


@dataclass(slots=True)
class Timeline:
    """Moments (milliseconds since the epoch) and the seq that had been reached at each."""

    moments: list[float] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)

    def add(self, seq: int) -> None:
        if not self.seqs or seq > self.seqs[-1]:
            self.moments.append(time.time() * 1e3)
            self.seqs.append(seq)

    def when(self, seqs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The moment at which each of these seqs had been reached; infinite for one that never was."""
        places = np.searchsorted(np.array(self.seqs), seqs)
        return np.append(self.moments, np.inf)[places]


class Watch:
    """Watches a namespace until the block ends. `readable`: is told how many decisions after `first_seq` the cache has.

    The applied position of the cache moves in the same step as its entries, so from that moment on the head look-up of
    an image (`query.heads`, the cache first) answers.
    """

    def __init__(self, wiring: Wiring, *, first_seq: int, readable: "Synchronized[int]") -> None:
        self.lines = {name: Timeline() for name in _EVERY_SECONDS}
        self.decisions: list[Decision] = []
        self.decided = Timeline()
        self._wiring = wiring
        self._first = first_seq
        self._readable = readable
        self._stop = threading.Event()
        sources: dict[str, Callable[[], int]] = {
            "cache": lambda: wiring.cache.position().seq,
            "graph": lambda: wiring.store.position().seq,
            "index": lambda: wiring.index.position().seq,
        }
        self._threads = [
            *(threading.Thread(target=self._follow, args=(name, ask)) for name, ask in sources.items()),
            threading.Thread(target=self._tail),
        ]
        self._raw: list[bytes] = []

    def __enter__(self) -> Self:
        self._consumer = self._wiring.kafka.consumer(fetch_max_wait_ms=20)
        partition = TopicPartition(self._wiring.topics.ledger, 0)
        self._consumer.assign([partition])
        self._consumer.seek(partition, self._consumer.end_offsets([partition])[partition])
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._consumer.close(autocommit=False)
        entries = map(decode_entry, self._raw)
        self.decisions = [entry for entry in entries if isinstance(entry, Decision)]

    @property
    def seen(self) -> int:
        """Decisions that have come so far."""
        return len(self._raw)

    def applied(self) -> int:
        """How many of them every watched projection has applied."""
        return min((line.seqs[-1] if line.seqs else 0) - self._first for line in self.lines.values())

    def _follow(self, name: str, ask: Callable[[], int]) -> None:
        line, every = self.lines[name], _EVERY_SECONDS[name]
        while not self._stop.wait(every):
            # An engine that is too busy to answer is asked again.
            with suppress(UnavailableError):
                line.add(ask())
                if name == "cache":
                    self._readable.value = line.seqs[-1] - self._first

    def _tail(self) -> None:
        while not self._stop.is_set():
            for records in self._consumer.poll(timeout_ms=50, max_records=5000).values():
                self._raw += [record.value for record in records]
                self.decided.add(self._first + len(self._raw))
