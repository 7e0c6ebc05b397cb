"""The fault matrix: every engine, every kind of fault, many seeds, while images flow.

The workers reach every engine through a proxy that can misbehave; two kinds of fault are signals to the engine itself.
Nobody helps the workers: after a fault everything must be decided, applied and equal to the ledger.
"""

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from benchmarks.report import Report
from benchmarks.resilience.error_answers import grpc_errors, http_errors, kafka_errors, redis_errors, relay_to
from benchmarks.resilience.proxy import ErrorAnswers, Fault, Proxy, ProxyLoop
from benchmarks.resilience.trial import Trial, TrialResult, trial
from neardup.engines.state import read_state
from neardup.engines.supervisor import up
from neardup.settings import Settings

__all__ = ["ENGINES", "KINDS", "Attempt", "attempts", "fault_matrix", "some_of_each"]

Engine = Literal["kafka", "opensearch", "janusgraph", "redis", "scorer"]
Kind = Fault | Literal["killed", "paused"]

ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
KINDS: Final[tuple[Kind, ...]] = ("killed", "paused", *get_args(Fault))

_ADDRESSES: Final[dict[Engine, str]] = {
    "kafka": "bootstrap_servers",
    "opensearch": "url",
    "janusgraph": "url",
    "redis": "url",
    "scorer": "endpoint",
}
_FAULTS_A_NAMESPACE: Final = 10
_FIRST_IMAGES: Final = 8
_FAULT_SECONDS: Final = (1.0, 4.0)
_WAITING: Final = ("engine unavailable, waiting", "Redis is away", '"logger": "kafka.')


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One fault to try."""

    engine: Engine
    kind: Kind
    seed: int

    def __str__(self) -> str:
        return f"{self.engine} {self.kind} {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recovery:
    """`seconds` from the end of the fault until everything was decided and applied; how many roles ended by themselves
    and were started again; whether the workers said anything. A fault shorter than a time-out may pass unseen."""

    seconds: float
    ended: int
    said: bool

    def __str__(self) -> str:
        seen = "visible" if self.said else "unseen"
        return f"all done {self.seconds:.1f} s after it, {self.ended} roles started again, {seen}"


class Proxied:
    """The five engines, each behind a proxy. `settings` lead through the proxies, `direct` do not."""

    def __init__(self, direct: Settings, loop: ProxyLoop, scorer_errors: int) -> None:
        assert direct.redis.url is not None
        places: dict[Engine, tuple[str, ErrorAnswers]] = {
            "kafka": (f"//{direct.kafka.bootstrap_servers}", kafka_errors),
            "opensearch": (str(direct.opensearch.url), http_errors),
            "janusgraph": (str(direct.janusgraph.url), http_errors),
            "redis": (direct.redis.url.get_secret_value(), redis_errors),
            "scorer": (f"//{direct.scorer.endpoint}", relay_to(scorer_errors)),
        }
        self.direct = direct
        self.proxies = {
            engine: Proxy(loop, _port(url), errors=errors, kafka=engine == "kafka")
            for engine, (url, errors) in places.items()
        }
        values = direct.model_dump()
        for engine, field in _ADDRESSES.items():
            url, _ = places[engine]
            values[engine][field] = url.replace(f":{_port(url)}", f":{self.proxies[engine].port}").removeprefix("//")
        self.settings = Settings.model_validate(values)

    @contextmanager
    def fault(self, attempt: Attempt) -> Iterator[None]:
        """The engine misbehaves for the time of the block."""
        if attempt.kind in {"killed", "paused"}:
            with self._signalled(attempt):
                yield
            return
        proxy = self.proxies[attempt.engine]
        proxy.inject(attempt.kind, str(attempt))  # type: ignore[arg-type]
        try:
            yield
        finally:
            proxy.lift()

    @contextmanager
    def _signalled(self, attempt: Attempt) -> Iterator[None]:
        pid = read_state(self.direct.local.home).processes[attempt.engine].pid
        os.kill(pid, signal.SIGKILL if attempt.kind == "killed" else signal.SIGSTOP)
        try:
            yield
        finally:
            if attempt.kind == "paused":
                os.kill(pid, signal.SIGCONT)
            else:
                up(self.direct)

    def close(self) -> None:
        for proxy in self.proxies.values():
            proxy.close()


@contextmanager
def proxied(direct: Settings) -> Iterator[Proxied]:
    """The engines behind proxies."""
    with ExitStack() as stack:
        loop = ProxyLoop()
        stack.callback(loop.close)
        engines = Proxied(direct, loop, stack.enter_context(grpc_errors("scorer")))
        stack.callback(engines.close)
        yield engines


def attempts(seeds: int, engines: Sequence[Engine] = ENGINES, kinds: Sequence[Kind] = KINDS) -> list[Attempt]:
    """All of them, in an order of their own."""
    found = [Attempt(engine=e, kind=k, seed=seed) for e in engines for k in kinds for seed in range(seeds)]
    random.Random(seeds).shuffle(found)
    return found


def some_of_each() -> list[Attempt]:
    """Each kind once and each engine at least once."""
    return [Attempt(engine=ENGINES[n % len(ENGINES)], kind=kind, seed=0) for n, kind in enumerate(KINDS)]


def fault_matrix(report: Report, settings: Settings, chosen: list[Attempt], *, log: Path, result: TrialResult) -> None:
    """Try these faults; adds what was found to `result`, and the figure `faults`, also when it is ended early."""
    report.note(f"fault matrix: {len(chosen)} faults")
    recovered: dict[Attempt, _Recovery] = {}
    try:
        with proxied(settings) as engines:
            for start in range(0, len(chosen), _FAULTS_A_NAMESPACE):
                where = f"faults, namespace {start // _FAULTS_A_NAMESPACE}"
                some = chosen[start : start + _FAULTS_A_NAMESPACE]
                with trial(engines.settings, settings, seed=where, log=log) as running:
                    _some(report, running, engines, some, recovered=recovered, result=result, where=where)
                report.note(f"{len(recovered)} of {len(chosen)} faults, {result}")
    finally:
        for engine, kind in sorted({(attempt.engine, attempt.kind) for attempt in recovered}):
            of_kind = [one for a, one in recovered.items() if (a.engine, a.kind) == (engine, kind)]
            report.row(
                "faults",
                engine=engine,
                kind=kind,
                faults=len(of_kind),
                longest_recovery_seconds=max(one.seconds for one in of_kind),
                roles_ended=sum(one.ended for one in of_kind),
                visible=sum(one.said for one in of_kind),
            )
        report.figures["faults"] = len(recovered)


def _some(
    report: Report,
    running: Trial,
    engines: Proxied,
    chosen: Sequence[Attempt],
    *,
    recovered: dict[Attempt, _Recovery],
    result: TrialResult,
    where: str,
) -> None:
    """The faults of one namespace."""
    # They are to meet workers, not processes that start.
    running.publish(running.corpus.batch(_FIRST_IMAGES))
    running.publish_late()
    if not running.drained():
        result.fail(f"{where}: did not begin: {running.behind()}")
        return
    for attempt in chosen:
        found = _one(running, engines, attempt, result)
        if found is None:
            return  # what is left of this namespace would only fail for the same reason
        recovered[attempt] = found
        report.note(f"{attempt}: {found}")
    result.add(running.replay(where), f"{where}, replay")
    result.ended(running.workers.ended, where)


def _one(running: Trial, engines: Proxied, attempt: Attempt, result: TrialResult) -> _Recovery | None:
    """None when not everything was done in time."""
    rng = random.Random(str(attempt))
    ended, said = running.workers.ended.total(), _said(running)
    running.publish(running.corpus.batch(rng.randint(2, 6)))
    running.pause(rng.uniform(0.0, 0.5))
    with engines.fault(attempt):
        until = time.monotonic() + rng.uniform(*_FAULT_SECONDS)
        while (left := until - time.monotonic()) > 0:
            # Producers are not on trial; Kafka itself must be there for them.
            if attempt.engine != "kafka" or attempt.kind not in {"killed", "paused"}:
                running.publish(running.corpus.batch(rng.randint(1, 4)))
            running.pause(min(left, rng.uniform(0.05, 0.4)))
    lifted = time.monotonic()
    running.publish(running.corpus.batch(rng.randint(2, 6)))
    running.publish_late()
    if not running.drained():
        result.fail(f"{attempt}: not drained: {running.behind()}")
        return None
    seconds = time.monotonic() - lifted
    result.add(running.check(), str(attempt))
    running.workers.check()
    ended = running.workers.ended.total() - ended
    return _Recovery(seconds=seconds, ended=ended, said=bool(ended) or _said(running) > said)


def _said(running: Trial) -> int:
    return sum(running.workers.said(text) for text in _WAITING)


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None, url
    return port
