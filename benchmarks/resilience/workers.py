"""The worker's roles as processes: started, killed, stopped and started again, some of them armed to die by themselves.

A supervisor as `neardup worker` has one, but with several workers of a role, with crash points, and without growing
delays: here processes end on purpose.
"""

import os
import signal
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from pydantic import BaseModel, SecretStr

from benchmarks.resilience.role import PRELOADED, run
from neardup.crashpoints import CrashPoint
from neardup.settings import Settings
from neardup.supervisor import SINGLE_THREADED

__all__ = ["Arm", "Workers", "environment"]

_AGAIN_SECONDS = 0.2
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Arm:
    """Where a process is to die: at which pass of which point."""

    point: CrashPoint
    passes: int


@dataclass(slots=True)
class _Worker:
    role: str
    name: str
    arms: deque[Arm]
    arm: Arm | None = None
    process: ForkServerProcess | None = None
    again_at: float = 0.0
    killed: bool = False


class Workers:
    """Processes of one namespace, all from the thread that made them: the kernel ends them with it.

    `kills`: how often a process died at each point; `surprised`: how often one was killed elsewhere by `arm`; `ended`:
    how often one ended by itself, by role and exit code; `log`: what they wrote.
    """

    def __init__(self, settings: Settings, log: Path) -> None:
        self._environment = environment(settings)
        self._workers: dict[str, _Worker] = {}
        self.log = log
        self.kills: Counter[CrashPoint] = Counter()
        self.surprised = 0
        self._arming = True
        self.ended: Counter[str] = Counter()

    def add(self, role: str, name: str, *, arms: deque[Arm] | None = None) -> None:
        """Start a worker of a role; it and its successors take one arm after the other and die there. What was taken
        and not used is put back by `close`."""
        worker = _Worker(role=role, name=name, arms=deque() if arms is None else arms)
        self._workers[f"{name}-{role}"] = worker
        self._start(worker)

    def names(self, role: str) -> list[str]:
        """The workers of a role."""
        return [worker.name for worker in self._workers.values() if worker.role == role]

    def pid(self, role: str, name: str) -> int | None:
        """The process of a worker; None between two of them."""
        process = self._workers[f"{name}-{role}"].process
        return process.pid if process is not None and process.exitcode is None else None

    def hold(self) -> None:
        """Those that are started from now on do not take an arm, so that work comes to an end."""
        self._arming = False

    def arm(self) -> None:
        """They do again; those that live without one are killed where they are."""
        self._arming = True
        for worker in self._workers.values():
            if worker.arm is None and worker.arms and worker.process is not None and worker.process.exitcode is None:
                self.surprised += 1
                self.kill(worker.role, worker.name)

    def armed(self, role: str) -> bool:
        """Whether a worker of this role is to die."""
        return any(worker.arm for worker in self._workers.values() if worker.role == role)

    def died(self, role: str) -> int:
        """How often a worker of this role died at a point."""
        return sum(kills for point, kills in self.kills.items() if point.startswith(f"{role}."))

    def check(self) -> None:
        """Start again what ended."""
        now = time.monotonic()
        for worker in self._workers.values():
            if worker.process is not None and (code := worker.process.exitcode) is not None:
                self._count(worker, code)
                worker.process, worker.again_at = None, now + _AGAIN_SECONDS
            if worker.process is None and now >= worker.again_at:
                self._start(worker)

    def kill(self, role: str, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal that ends the process; `check` starts it again."""
        worker = self._workers[f"{name}-{role}"]
        if worker.process is not None and worker.process.exitcode is None:
            worker.killed = True
            _signal(worker.process, number)

    def remove(self, role: str, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a worker for good."""
        worker = self._workers.pop(f"{name}-{role}")
        _end([worker], number)

    def close(self) -> None:
        """End all of them."""
        for worker in self._workers.values():
            if worker.process is not None and (code := worker.process.exitcode) is not None:
                self._count(worker, code)
                worker.process = None
            if worker.arm is not None:
                worker.arms.appendleft(worker.arm)
        _end(self._workers.values(), signal.SIGTERM)
        self._workers.clear()

    def said(self, text: str) -> int:
        """How many lines of the log have this text."""
        return sum(text in line for line in self.log.read_text(errors="replace").splitlines())

    def _start(self, worker: _Worker) -> None:
        worker.arm = worker.arms.popleft() if worker.arms and self._arming else None
        point = f"{worker.arm.point}:{worker.arm.passes}" if worker.arm else None
        worker.killed = False
        worker.process = _forks().Process(
            target=run, args=(worker.role, worker.name, self._environment, point, str(self.log))
        )
        worker.process.start()

    def _count(self, worker: _Worker, code: int) -> None:
        if worker.arm is not None and code == -signal.SIGKILL:
            self.kills[worker.arm.point] += 1
        elif not worker.killed:
            self.ended[f"{worker.role} {code}"] += 1
            if worker.arm is not None:
                worker.arms.appendleft(worker.arm)
        worker.arm = None


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give a process these settings."""
    return dict(_variables("NEARDUP", settings))


def _variables(prefix: str, group: BaseModel) -> Iterable[tuple[str, str]]:
    separator = "_" if prefix == "NEARDUP" else "__"
    for name in type(group).model_fields:
        value, variable = getattr(group, name), f"{prefix}{separator}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from _variables(variable, value)
        elif isinstance(value, SecretStr):
            yield variable, value.get_secret_value()
        elif value is not None:
            yield variable, str(value)


def _end(workers: Iterable[_Worker], number: signal.Signals) -> None:
    processes = [worker.process for worker in workers if worker.process is not None]
    for process in processes:
        _signal(process, number)
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        process.join(timeout=max(0.1, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()


def _signal(process: ForkServerProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)


@cache
def _forks() -> ForkServerContext:
    """Where processes come from."""
    os.environ.update(SINGLE_THREADED)
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context
