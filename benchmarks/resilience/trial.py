"""One namespace under trial: workers, images that flow, waiting until all is decided, and the check of everything."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.resilience.engines import with_timeouts
from benchmarks.resilience.images import Corpus, Deletion, Shot, partition_of
from benchmarks.resilience.replay import decide_again
from benchmarks.resilience.workers import Workers
from neardup.agreement import Disagreement, compare_ledgers
from neardup.cli.drain import Drain
from neardup.cli.verification import Verification
from neardup.cli.wiring import Wiring
from neardup.errors import UnavailableError
from neardup.kafka import kafka_errors
from neardup.messages import EmbeddingMessage
from neardup.settings import Settings
from neardup.types import Vector

__all__ = ["ROLES", "Trial", "TrialResult", "trial"]

ROLES = ("join", "propose", "assign", "project")
_DRAIN_SECONDS = 180.0
_SHORT_SECONDS, _LONG_SECONDS = 3.0, 60.0


@dataclass(slots=True)
class TrialResult:
    """What was found over all checks."""

    lost: int = 0
    doubled: int = 0
    in_two_clusters: int = 0
    other: int = 0
    failures: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, found: Sequence[Disagreement], where: str) -> None:
        """Count each subject once a kind."""
        for kind, subjects in _by_kind(found).items():
            match kind:
                case "lost":
                    self.lost += len(subjects)
                case "doubled":
                    self.doubled += len(subjects)
                case "two-clusters":
                    self.in_two_clusters += len(subjects)
                case _:
                    self.other += len(subjects)
        self.notes += [f"{where}: {one}" for one in found[:20]]

    def fail(self, what: str) -> None:
        """Something did not come to an end, or did not happen."""
        self.failures += 1
        self.notes.append(what)
        print(what, file=sys.stderr, flush=True)

    def ended(self, exits: Mapping[str, int], where: str) -> None:
        """Processes that ended although nobody killed them: allowed, for a supervisor starts them again, but shown."""
        if exits:
            self.notes.append(f"{where}: ended by themselves: {dict(exits)}")

    @property
    def figures(self) -> dict[str, float]:
        """For the report."""
        return {
            "lost": self.lost,
            "doubled": self.doubled,
            "in_two_clusters": self.in_two_clusters,
            "other_differences": self.other,
            "failures": self.failures,
        }

    @property
    def clean(self) -> bool:
        """Nothing was found."""
        return not (self.lost or self.doubled or self.in_two_clusters or self.other or self.failures)

    def __str__(self) -> str:
        return (
            f"lost {self.lost}, doubled {self.doubled}, in two clusters {self.in_two_clusters}, "
            f"other differences {self.other}, failures {self.failures}"
        )


class Trial:
    """`settings` are what the workers get, with shorter time-outs, so that they notice a fault while it lasts. `direct`
    reaches the same engines without any proxy; None: as the workers do."""

    def __init__(self, settings: Settings, direct: Settings | None = None, *, seed: str, log: Path) -> None:
        self.settings = with_timeouts(settings, seconds=_SHORT_SECONDS, redis_seconds=settings.redis.timeout_seconds)
        # Who checks must not give up on a machine that is busy.
        direct = with_timeouts(direct or settings, seconds=_LONG_SECONDS, redis_seconds=_LONG_SECONDS)
        self.wiring = Wiring(direct)
        self.wiring.drop()
        self.wiring.setup()
        self.workers = Workers(self.settings, log)
        self.corpus = Corpus(seed)
        self._drain = Drain(direct)
        self._verification = Verification(self.wiring)
        self._producer = self.wiring.kafka.producer(linger_ms=0)
        self._late: list[Shot] = []

    def publish(self, shots: Sequence[Shot | Deletion]) -> None:
        """Return when they are durable; the second halves of the late ones are kept for `publish_late`."""
        topics = self.wiring.topics
        for shot in shots:
            if isinstance(shot, Deletion):
                self._delete(shot)
                continue
            self._send(topics.lsh_embeddings, shot, shot.embeddings.lsh)
            if shot.late:
                self._late.append(shot)
            else:
                self._send(topics.score_embeddings, shot, shot.embeddings.score)
        self._flush()

    def publish_late(self) -> None:
        """The missing halves."""
        for shot in self._late:
            self._send(self.wiring.topics.score_embeddings, shot, shot.embeddings.score)
        self._late = []
        self._flush()

    def pause(self, seconds: float) -> None:
        """Let time pass; keeps the workers running meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.workers.check()
            time.sleep(min(0.05, left))

    def drained(self, *, between: Callable[[], None] = lambda: None) -> bool:
        """Whether everything published was decided and applied in time; keeps the workers running meanwhile."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < deadline:
            self.workers.check()
            between()
            if self._drain.done():
                return True
            time.sleep(0.05)
        return False

    def behind(self) -> str:
        """What is not done, for people."""
        try:
            return f"{self._drain.backlog()} {self._drain.progress()}"
        except UnavailableError as exc:
            return str(exc)

    def decisions(self) -> int:
        """How many decisions the ledger has. Raises LogUnavailableError."""
        return self._drain.decisions()

    def check(self) -> list[Disagreement]:
        """Everything that people read, against the ledger, what was published, and which images belong together."""
        state, found = self._verification.check(self.corpus.published)
        expected, clusters = self.corpus.expected(), partition_of(state.placements())
        found += [
            Disagreement(place="ledger", kind="differs", subject=min(members), detail="not one cluster of its own")
            for members in expected - clusters
            if not any(one.kind == "lost" and one.subject in members for one in found)
        ]
        return found

    def replay(self, seed: str) -> list[Disagreement]:
        """The same proposals, decided again by an assigner that has seen nothing: must come to the same ledger."""
        again = decide_again(
            self._verification.requests(),
            self._verification.erase_key(),
            scorer=self.wiring.scorer,
            settings=self.settings,
            lsh_version=self.wiring.lsh.version,
            seed=seed,
        )
        return list(compare_ledgers(self._verification.ledger(), again))

    def _send(self, topic: str, shot: Shot, embedding: Vector) -> None:
        message = EmbeddingMessage.create(image_id=shot.image_id, version=shot.version, embedding=embedding)
        with kafka_errors("publishing"):
            self._producer.send(topic, key=message.image_id.encode(), value=message.encode())

    def _delete(self, deletion: Deletion) -> None:
        topics = self.wiring.topics
        for topic, wanted in ((topics.lsh_embeddings, deletion.lsh), (topics.score_embeddings, deletion.score)):
            if wanted:
                with kafka_errors("publishing"):
                    self._producer.send(topic, key=deletion.image_id.encode(), value=None)

    def _flush(self) -> None:
        with kafka_errors("publishing"):
            self._producer.flush(timeout=60)

    def close(self) -> None:
        """End the workers and remove the namespace."""
        self.workers.close()
        self._producer.close(timeout=5)
        self._drain.close()
        self._verification.close()
        self.wiring.drop()
        self.wiring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def trial(settings: Settings, direct: Settings, *, seed: str, log: Path) -> Iterator[Trial]:
    """A trial with one worker of each role."""
    with Trial(settings, direct, seed=seed, log=log) as running:
        for role in ROLES:
            running.workers.add(role, "one")
        yield running


def _by_kind(found: Sequence[Disagreement]) -> dict[str, set[str]]:
    subjects: dict[str, set[str]] = {}
    for one in found:
        subjects.setdefault(one.kind, set()).add(one.subject)
    return subjects
