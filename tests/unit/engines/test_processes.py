"""With real processes of this test's own."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from neardup.engines.processes import Launch, find, resident_bytes, spawn, terminate
from neardup.engines.state import ProcessRecord
from neardup.errors import ConfigError

QUIET = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {QUIET!r}]).wait()"


class Nursery:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.records: list[ProcessRecord] = []

    def start(self, code: str) -> ProcessRecord:
        """Start Python code, wait until it printed a line."""
        self.log.write_text("")
        record = spawn(Launch(argv=(sys.executable, "-c", code), cwd=self.folder), log=self.log, port=1)
        self.records.append(record)
        while not self.log.read_text():
            assert find(record), "ended early"
        return record


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    for record in nursery.records:
        if process := find(record):
            for member in (*process.children(recursive=True), process):
                member.kill()


def test_started_process_is_found_and_detached(nursery: Nursery) -> None:
    record = nursery.start(QUIET)
    process = find(record)
    assert process is not None
    assert process.ppid() != psutil.Process().pid
    assert resident_bytes(process) > 1_000_000


def test_ended_process_is_not_found(nursery: Nursery) -> None:
    record = nursery.start(QUIET)
    assert terminate([psutil.Process(record.pid)], patience_seconds=10) == []
    assert find(record) is None


def test_other_process_with_the_same_pid_is_not_ours(nursery: Nursery) -> None:
    record = nursery.start(QUIET)
    assert find(record.model_copy(update={"created": record.created - 3600})) is None
    assert find(record.model_copy(update={"command": ("redis-server", "redis.conf")})) is None
    assert find(record) is not None


def test_stubborn_process_is_killed(nursery: Nursery) -> None:
    record = nursery.start(STUBBORN)
    assert terminate([psutil.Process(record.pid)], patience_seconds=0.2) == [record.pid]
    assert find(record) is None


def test_children_end_with_their_parent(nursery: Nursery) -> None:
    record = nursery.start(PARENT)
    process = psutil.Process(record.pid)
    (child,) = process.children()
    process.send_signal(signal.SIGCONT)
    terminate([process], patience_seconds=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_log_is_appended_to(nursery: Nursery) -> None:
    nursery.log.write_text("before\n")
    launch = Launch(argv=(sys.executable, "-c", "print('after')"), cwd=nursery.folder)
    record = spawn(launch, log=nursery.log, port=1)
    while find(record):
        pass
    assert nursery.log.read_text() == "before\nafter\n"


def test_environment_is_not_inherited(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dx")
    nursery.start(f"import os; print(sorted(os.environ), flush=True); {QUIET}")
    assert "JAVA_TOOL_OPTIONS" not in nursery.log.read_text()


def test_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"/no/such cannot be started: .*No such file"):
        spawn(Launch(argv=("/no/such",), cwd=tmp_path), log=tmp_path / "log", port=1)
