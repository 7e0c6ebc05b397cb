"""With real processes; every wait ends when the thing waited for happens."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from time import monotonic

import psutil
import pytest

from neardup.supervisor import EXIT_CONFIG, EXIT_INCOMPATIBLE, Supervisor

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


def command(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def until(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    deadline = monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert monotonic() < deadline, "it did not happen"
        pause.wait(0.01)


@pytest.fixture
def started() -> Iterator[list[Supervisor]]:
    supervisors: list[Supervisor] = []
    yield supervisors
    for supervisor in supervisors:
        supervisor.stop(seconds=1)


def supervise(started: list[Supervisor], **commands: list[str]) -> Supervisor:
    started.append(Supervisor(commands))
    return started[-1]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_every_role_runs_once(started: list[Supervisor]) -> None:
    supervisor = supervise(started, join=SLEEPER, assign=SLEEPER)
    assert supervisor.check() is None
    pids = supervisor.pids
    assert pids.keys() == {"join", "assign"}
    assert supervisor.check() is None
    assert supervisor.pids == pids


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_role_that_ended_is_started_again_and_no_other(
    started: list[Supervisor], signal_number: signal.Signals
) -> None:
    supervisor = supervise(started, join=SLEEPER, assign=SLEEPER)
    supervisor.check()
    before = supervisor.pids
    os.kill(before["join"], signal_number)
    until(lambda: gone(before["join"]))
    assert supervisor.check() is None
    # It waits first: an engine that is away is not asked a thousand times a second.
    assert supervisor.pids == {"assign": before["assign"]}
    until(lambda: supervisor.check() is None and "join" in supervisor.pids)
    assert supervisor.pids["join"] != before["join"]
    assert supervisor.pids["assign"] == before["assign"]


def test_it_waits_longer_each_time(started: list[Supervisor], tmp_path: Path) -> None:
    log = tmp_path / "starts"
    supervisor = supervise(started, join=command(f"open({str(log)!r}, 'a').write('x'); raise SystemExit(1)"))
    moments: list[float] = []

    def four_starts() -> bool:
        assert supervisor.check() is None
        if log.exists() and len(log.read_text()) > len(moments):
            moments.append(monotonic())
        return len(moments) == 4

    until(four_starts)
    first, _, third = (later - earlier for earlier, later in pairwise(moments))
    assert first >= 0.1
    assert third >= 0.4


@pytest.mark.parametrize("code", [EXIT_CONFIG, EXIT_INCOMPATIBLE])
def test_what_nobody_can_help_ends_for_good(started: list[Supervisor], code: int) -> None:
    supervisor = supervise(started, join=SLEEPER, assign=command(f"raise SystemExit({code})"))
    until(lambda: supervisor.check() == code)


def test_stop_ends_all(started: list[Supervisor]) -> None:
    supervisor = supervise(started, join=SLEEPER, assign=SLEEPER)
    supervisor.check()
    pids = list(supervisor.pids.values())
    supervisor.stop()
    assert supervisor.pids == {}
    assert all(map(gone, pids))


def test_stop_lets_a_role_finish_its_work(started: list[Supervisor], tmp_path: Path) -> None:
    ready, done = tmp_path / "ready", tmp_path / "done"
    code = (
        "import signal, time, pathlib, sys\n"
        f"def end(*_): pathlib.Path({str(done)!r}).touch(); sys.exit(0)\n"
        f"signal.signal(signal.SIGTERM, end); pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    supervisor = supervise(started, join=command(code))
    supervisor.check()
    until(ready.exists)
    supervisor.stop()
    assert done.exists()


def test_stop_kills_what_does_not_listen(started: list[Supervisor], tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        "import signal, time, pathlib\n"
        f"signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    supervisor = supervise(started, join=command(code))
    supervisor.check()
    until(ready.exists)
    (pid,) = supervisor.pids.values()
    supervisor.stop(seconds=0.1)
    assert gone(pid)


def test_a_child_whose_parent_is_gone_already_ends() -> None:
    code = "from neardup.supervisor import die_with_parent; die_with_parent(1 << 22); import time; time.sleep(60)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == -signal.SIGTERM


def test_children_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = (
        "import os, pathlib, time\n"
        "from neardup.supervisor import die_with_parent\n"
        "die_with_parent(os.getppid())\n"
        f"path = pathlib.Path({str(pid_file)!r})\n"
        "path.with_suffix('.new').write_text(str(os.getpid())); path.with_suffix('.new').rename(path)\n"
        "time.sleep(60)"
    )
    parent = (
        "import sys, time\n"
        "from neardup.supervisor import Supervisor\n"
        f"Supervisor({{'join': [sys.executable, '-c', {child!r}]}}).check()\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    try:
        until(pid_file.exists)
        pid = int(pid_file.read_text())
        assert not gone(pid)
    finally:
        process.kill()
        process.wait()
    until(lambda: gone(pid))
