"""How far the pipeline has come, and whether it has processed everything published."""

import threading

from neardup.backlog import Backlog, BacklogReader
from neardup.cli.wiring import Wiring
from neardup.errors import UnavailableError
from neardup.logs import PartitionReader
from neardup.settings import Settings

__all__ = ["Drain"]


class Drain:
    """Watches one namespace. Engines that are away count as not done."""

    def __init__(self, settings: Settings) -> None:
        from graph.heads_feed import HeadsFeed
        from graph.kafka_log import KafkaLedger

        self._wiring = Wiring(settings)
        kafka, topics = self._wiring.kafka, self._wiring.topics
        self._backlog = BacklogReader(kafka, topics)
        self._ledger = KafkaLedger(kafka, topics)
        self._dead = PartitionReader(kafka, topics.dead_letters)
        self._feed = HeadsFeed(kafka, topics)

    def backlog(self) -> Backlog:
        """What waits before the ledger. Raises LogUnavailableError."""
        return self._backlog.read()

    def decisions(self) -> int:
        """The seq of the last decision."""
        tail = self._ledger.tail(1)
        return tail[-1][1].seq if tail else 0

    def applied(self) -> dict[str, int]:
        """The seq that each projection has applied. Raises UnavailableError."""
        wiring = self._wiring
        return {
            "graph": wiring.store.position().seq,
            "index": wiring.index.position().seq,
            "cache": wiring.cache.position().seq,
            "feed": self._feed.position().seq,
            "history": wiring.history.position().seq,
        }

    def progress(self) -> dict[str, int]:
        """How many images each stage has put out so far. Raises UnavailableError."""
        topics = self._wiring.topics
        return {
            "joined": self._backlog.written(topics.images),
            "proposed": self._backlog.written(topics.proposals),
            "decided": self.decisions(),
            **self.applied(),
        }

    def done(self) -> bool:
        """Whether nothing waits anywhere."""
        try:
            if self.backlog().total or self._backlog.undeclared() > 0:
                return False
            last = self.decisions()
            return all(seq >= last for seq in self.applied().values())
        except UnavailableError:
            return False

    def wait(self, stop: threading.Event, *, every_seconds: float = 0.25) -> threading.Event:
        """An event that is set when nothing waits any more: watched by a thread of its own, for a look at the brokers
        may take long and the caller has processes to keep running. `stop` ends the watching."""
        drained = threading.Event()

        def watch() -> None:
            while not stop.wait(every_seconds):
                if self.done():
                    drained.set()
                    return

        threading.Thread(target=watch, name="drain", daemon=True).start()
        return drained

    def close(self) -> None:
        """Close the connections."""
        for part in (self._backlog, self._ledger, self._dead, self._feed, self._wiring):
            part.close()

    def state(self) -> dict[str, object]:
        """Figures for people and programs."""
        return {
            "decisions": self.decisions(),
            "applied": self.applied(),
            "dead_letters": self._dead.end(),
        }
