"""Child processes of `neardup worker`: one a role, started again when they end, ended when the parent does."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import structlog

from neardup.backoff import BackOff

__all__ = ["EXIT_CONFIG", "EXIT_INCOMPATIBLE", "SINGLE_THREADED", "Supervisor", "die_with_parent"]

EXIT_CONFIG = 2
EXIT_INCOMPATIBLE = 3

SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Defaults for processes that share the cores: threads of the numerical libraries would only take them from each other
(embedding photos on 2 cores: 3.4 s against 6.7 s for 140)."""

_log = structlog.get_logger("supervisor")
_PR_SET_PDEATHSIG = 1
_HEALTHY_SECONDS = 30.0


def die_with_parent(parent: int) -> None:
    """On Linux: have the kernel end this process when the process `parent` dies, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        # It died before the kernel was asked.
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass(slots=True)
class _Child:
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    again_at: float = 0.0
    back_off: BackOff = field(default_factory=lambda: BackOff(first=0.2, longest=10.0))


class Supervisor:
    """Keeps one process a role running."""

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        stderr: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._children = {role: _Child(command) for role, command in commands.items()}
        self._stderr = stderr
        self._environment = SINGLE_THREADED | dict(os.environ if environment is None else environment)

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each running role."""
        return {
            role: child.process.pid
            for role, child in self._children.items()
            if child.process is not None and child.process.poll() is None
        }

    def check(self) -> int | None:
        """Start what is not running and due. Returns an exit code when a role ended for good: nobody can help it."""
        now = time.monotonic()
        for role, child in self._children.items():
            if child.process is not None:
                code = child.process.poll()
                if code is None:
                    continue
                if code in {EXIT_CONFIG, EXIT_INCOMPATIBLE}:
                    return code
                if now - child.started > _HEALTHY_SECONDS:
                    child.back_off.reset()
                delay = child.back_off.next()
                child.process, child.again_at = None, now + delay
                _log.warning("role ended, starting it again", role=role, exit_code=code, seconds=round(delay, 2))
            if now >= child.again_at:
                child.process = subprocess.Popen(
                    child.command, stdin=subprocess.DEVNULL, stderr=self._stderr, env=self._environment
                )
                child.started = now
        return None

    def stop(self, *, seconds: float = 20.0) -> None:
        """Ask every child to end, wait, then end those that did not."""
        processes = [child.process for child in self._children.values() if child.process is not None]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + seconds
        for process in processes:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
