"""The roles of the worker as processes, and the CPU time of everything that takes part."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from neardup.cli.worker import role_command
from neardup.engines.state import read_state
from neardup.settings import Settings
from neardup.supervisor import Supervisor

__all__ = ["Roles", "cpu_seconds"]


class Roles:
    """Runs roles with the settings of a namespace. `overrides`: further variables, for example NEARDUP_SEARCH__….

    `log`: what the roles write to standard error."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._settings = settings
        self.log = log
        self.overrides: dict[str, str] = {}
        self._supervisor: Supervisor | None = None

    @contextmanager
    def running(self, counts: Mapping[str, int]) -> Iterator[None]:
        """So many processes of each role, for the time of the block."""
        commands = {
            f"{role}-{number}": role_command(role, f"bench-{number}")
            for role, count in counts.items()
            for number in range(1, count + 1)
        }
        environment = {
            **os.environ,
            "NEARDUP_NAMESPACE": self._settings.namespace,
            "NEARDUP_LOCAL__HOME": str(self._settings.local.home),
            **self.overrides,
        }
        with self.log.open("ab") as log:
            self._supervisor = Supervisor(commands, stderr=log, environment=environment)
            try:
                self.check()
                yield
            finally:
                self._supervisor.stop()
                self._supervisor = None

    def check(self) -> None:
        """Start again what ended. Raises RuntimeError when a role cannot run."""
        if self._supervisor is not None and (code := self._supervisor.check()) is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-5:]
            raise RuntimeError(f"a role ended with exit code {code}: {lines}")

    @property
    def pids(self) -> dict[str, int]:
        return {} if self._supervisor is None else self._supervisor.pids

    def warm(self, seconds: float) -> None:
        """Time in which processes start; what dies is started again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            time.sleep(0.2)


def cpu_seconds(settings: Settings, roles: Roles) -> dict[str, float]:
    """CPU time so far of the roles and of the engines, by name, children included."""
    engines = {name: record.pid for name, record in read_state(settings.local.home).processes.items()}
    spent = {}
    for name, pid in {**roles.pids, **engines}.items():
        try:
            process = psutil.Process(pid)
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        except psutil.NoSuchProcess:
            continue
        spent[name] = sum(one.user + one.system for one in times)
    return spent
