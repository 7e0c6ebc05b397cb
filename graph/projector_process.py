"""The project role on Kafka: one elected process, one thread a projection, so that none waits for another."""

import threading
import time
from collections.abc import Callable, Mapping

from graph.kafka_log import KafkaLedger
from graph.projector import Projector
from graph.shared_ledger import SharedLedger
from neardup.group import GroupMember
from neardup.kafka import Kafka
from neardup.ports import Projection
from neardup.topics import Topics
from neardup.watchdog import Watchdog

__all__ = ["ProjectorProcess"]

_ABSENT_SECONDS = 8.0
_KEEP_SECONDS = 0.2
_KEEP_MS = 200
_BATCH = 200
_WAIT_MS = 500


class ProjectorProcess:
    """Waits to be elected, then follows the ledger for every projection until stopped or replaced.

    `batches`: how many decisions a projection takes at most in one step, where that is not the usual number;
    `linger_seconds`: the time between two of its steps, where there is one. `beside`: what else the elected process
    does; each is given a wait that says when to end.
    """

    def __init__(
        self,
        kafka: Kafka,
        topics: Topics,
        *,
        projections: Mapping[str, Callable[[], Projection]],
        batches: Mapping[str, int],
        linger_seconds: Mapping[str, float],
        beside: Mapping[str, Callable[[Callable[[float], bool]], None]],
        instance_id: str | None,
        stop: threading.Event,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._projections = projections
        self._batches = batches
        self._linger_seconds = linger_seconds
        self._beside = beside
        self._stop = stop
        self._halt = threading.Event()
        self._failure: Exception | None = None
        self._member = GroupMember(
            kafka,
            topics=[topics.ledger],
            group=topics.group("project"),
            instance_id=instance_id,
            stop=stop,
            session_timeout_ms=6000,
        )

    def run(self) -> None:
        """Project until stopped. Raises the error of a projection that cannot be waited out."""
        member = self._member
        shared = SharedLedger(self._reader)
        threads = [
            threading.Thread(target=self._follow, args=(shared, name, make), name=f"project-{name}")
            for name, make in self._projections.items()
        ]
        threads += [
            threading.Thread(target=work, args=(self._halt.wait,), name=name, daemon=True)
            for name, work in self._beside.items()
        ]
        try:
            while not member.assigned and not self._stop.is_set():
                member.poll(timeout_ms=100, max_records=1)
            # The membership elects; projections read the ledger from their own positions.
            member.consumer.pause(*member.consumer.assignment())
            self._halt.clear()
            for thread in threads:
                thread.start()
            member_until = time.monotonic() + _ABSENT_SECONDS
            # Waited for here: a client whose partitions are all paused looks for work fifty times a second, and without
            # any rest while a heartbeat is due.
            while not self._halt.wait(_KEEP_SECONDS) and not self._stop.is_set() and time.monotonic() < member_until:
                member.poll(timeout_ms=0 if member.assigned else _KEEP_MS, max_records=1)
                # A rebalance takes the partition away for a moment; two projectors at once do no harm.
                if member.assigned:
                    member.consumer.pause(*member.consumer.assignment())
                    member_until = time.monotonic() + _ABSENT_SECONDS
        finally:
            self._halt.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(timeout=15)
            shared.close()
            member.close()
        if self._failure is not None:
            raise self._failure

    def _reader(self) -> KafkaLedger:
        return KafkaLedger(self._kafka, self._topics, wait_ms=_WAIT_MS)

    def _follow(self, shared: SharedLedger, name: str, make: Callable[[], Projection]) -> None:
        ledger = shared.follower()
        watchdog = Watchdog(f"project-{name}", seconds=120.0)

        def wait(seconds: float) -> bool:
            watchdog.beat()
            return self._halt.wait(seconds)

        try:
            Projector(
                name,
                ledger=ledger,
                projection=make(),
                batch=self._batches.get(name, _BATCH),
                linger_seconds=self._linger_seconds.get(name, 0.0),
                prompt=name == "graph",
            ).run(wait)
        except Exception as exc:  # noqa: BLE001 - raised again by run
            self._failure = exc
        finally:
            watchdog.stop()
            self._halt.set()
            ledger.close()
