"""`neardup worker`: the roles of the ingest worker."""

import fcntl
import os
import signal
import socket
import sys
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path

import click

from neardup.cli.output import json_option, print_json
from neardup.settings import Settings, load_settings

__all__ = ["ROLES", "role_command", "worker"]

ROLES = ("join", "propose", "assign", "project")


@click.command()
@click.option("--role", type=click.Choice(["all", *ROLES]), default="all", help="Which part to run.")
@click.option("--name", help="Name of this worker, kept over restarts. Default: host name and the first free number.")
@click.option("--until-drained", is_flag=True, help="Stop when everything published so far is decided and applied.")
@click.option("--bulk", is_flag=True, help="With --until-drained: load much, then merge the index once.")
@click.option("--parent", type=int, hidden=True, help="End when the process of this number does.")
@json_option
def worker(*, role: str, name: str | None, until_drained: bool, bulk: bool, parent: int | None, as_json: bool) -> None:
    """Run the ingest worker until Ctrl-C.

    It runs each role as a process of its own and starts it again when it ends: join (both embeddings meet), propose
    (terms, search, scores), assign (decides, in one order; one at a time, the others stand by), project (graph, index,
    cache, change feed).
    """
    if bulk and not until_drained:
        raise click.UsageError("--bulk ends in a merge: it needs --until-drained")
    settings = load_settings()
    lock, name = _claim_name(settings, name)
    try:
        if role == "all" or until_drained:
            roles = ROLES if role == "all" else (role,)
            code = _supervise(settings, roles, name, until_drained=until_drained, bulk=bulk, as_json=as_json)
        else:
            code = _run_role(settings, role, name, parent=parent)
    finally:
        lock.close()
    sys.exit(code)


def role_command(role: str, name: str) -> list[str]:
    """The command line of one role's process."""
    return [sys.executable, "-m", "neardup", "worker", "--role", role, "--name", name, "--parent", str(os.getpid())]


class _NameLock:
    """Held as long as a worker of this name lives, however it ends."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        self._file.close()


class _NoLock:
    def close(self) -> None:
        pass


def _claim_name(settings: Settings, name: str | None) -> tuple[_NameLock | _NoLock, str]:
    """A name no other living worker of this machine and namespace has: static group membership wants it stable."""
    if name is not None:
        return _NoLock(), name
    folder = Path(tempfile.gettempdir()) / f"neardup-{os.geteuid()}" / settings.namespace
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        try:
            return _NameLock(folder / f"worker-{number}.lock"), f"{socket.gethostname()}-{number}"
        except BlockingIOError:
            number += 1


def _supervise(
    settings: Settings, roles: tuple[str, ...], name: str, *, until_drained: bool, bulk: bool, as_json: bool
) -> int:
    from neardup.cli.wiring import Wiring
    from neardup.telemetry import configure_logging
    from opensearch_templates.bulk import bulk_loading

    configure_logging(verbose=not as_json)
    wiring = Wiring(settings)
    try:
        wiring.ensure_setup()
        # Only now: setting up puts the usual settings of the index back.
        with bulk_loading(wiring.opensearch, wiring.index_names) if bulk else nullcontext():
            return _keep_running(settings, roles, name, until_drained=until_drained, as_json=as_json)
    finally:
        wiring.close()


def _keep_running(settings: Settings, roles: tuple[str, ...], name: str, *, until_drained: bool, as_json: bool) -> int:
    from neardup.cli.drain import Drain
    from neardup.supervisor import Supervisor

    stop = _stop_on_signals()
    supervisor = Supervisor({role: role_command(role, name) for role in roles})
    drain = Drain(settings) if until_drained else None
    drained = drain.wait(stop) if drain is not None else threading.Event()
    try:
        while not stop.wait(0.25) and not drained.is_set():
            code = supervisor.check()
            if code is not None:
                return code
    finally:
        supervisor.stop()
    if drain is not None:
        state = drain.state()
        if as_json:
            print_json(state)
        else:
            click.echo(f"drained: {state['decisions']} decisions, {state['dead_letters']} dead letters")
    return 0


def _run_role(settings: Settings, role: str, name: str, *, parent: int | None) -> int:
    from neardup.cli.roles import run_role
    from neardup.supervisor import die_with_parent
    from neardup.telemetry import configure_logging

    if parent is not None:
        die_with_parent(parent)
    configure_logging()
    run_role(settings, role, name, _stop_on_signals())
    return 0


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
