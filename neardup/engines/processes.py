"""Engine processes: started detached, recognised later, ended with their children."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from neardup.engines.java import Account
from neardup.engines.state import ProcessRecord
from neardup.errors import ConfigError

__all__ = ["Launch", "find", "resident_bytes", "spawn", "terminate"]

_DETACH = Path(__file__).with_name("detach.py")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
"""What an engine gets of our environment; a JAVA_TOOL_OPTIONS or CLASSPATH of the user would change it."""

_CLOCK_SLACK_SECONDS = 2.0
"""The kernel derives a process's start time from the wall clock, which may be set while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start an engine. `account`: the user it becomes, None for the present one."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None


def spawn(launch: Launch, *, log: Path, port: int) -> ProcessRecord:
    """Start a process in a session of its own, output appended to `log`. It outlives this one.

    Raises ConfigError when the program cannot be started.
    """
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    order = {
        "argv": list(launch.argv),
        "cwd": str(launch.cwd),
        "env": {**inherited, **launch.env},
        "log": str(log),
        "uid": launch.account and launch.account.uid,
        "gid": launch.account and launch.account.gid,
    }
    answer = subprocess.run(
        [sys.executable, "-I", "-S", str(_DETACH)], input=json.dumps(order), capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"{launch.argv[0]} cannot be started: {reason}")
    pid = int(answer.stdout)
    return ProcessRecord(pid=pid, created=_created(pid), command=tuple(launch.argv), port=port)


def find(record: ProcessRecord) -> psutil.Process | None:
    """The live process of a record; None when it has ended, also when its pid belongs to another process by now."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.created) < _CLOCK_SLACK_SECONDS
        alive = process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
        return process if same and alive and tuple(process.cmdline()) == record.command else None
    except psutil.Error:
        return None


def terminate(processes: Sequence[psutil.Process], *, patience_seconds: float) -> list[int]:
    """End processes and their children: SIGTERM, then after `patience_seconds` SIGKILL.

    Returns the pids that had to be killed.
    """
    family = list(processes)
    for process in processes:
        with suppress(psutil.Error):
            family += process.children(recursive=True)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    stubborn = _still_running(processes, seconds=patience_seconds)
    left = stubborn + [orphan for orphan in _still_running(family, seconds=1.0) if orphan not in stubborn]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _still_running(left, seconds=10.0)
    return [process.pid for process in left]


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and its children."""
    total = 0
    with suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def _created(pid: int) -> float:
    """The start time of a new process, 0 if it has ended already. Waits for its command line: it is empty for a moment
    after exec, and `find` compares it."""
    try:
        process = psutil.Process(pid)
        while not process.cmdline():
            time.sleep(0.001)
        return process.create_time()
    except psutil.Error:
        return 0.0


def _still_running(processes: Sequence[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Those that run on after waiting at most that long. A zombie does not run: only its parent can remove it."""
    deadline = time.monotonic() + seconds
    while (running := [process for process in processes if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
