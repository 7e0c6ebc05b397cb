"""Starts, stops and checks the local engines of one home."""

import errno
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import psutil

from neardup.engines.artifacts import load_lock
from neardup.engines.classes import keep
from neardup.engines.download import download
from neardup.engines.endpoints import Endpoints, local_endpoints
from neardup.engines.engine import Engine, Site
from neardup.engines.janusgraph import JANUSGRAPH
from neardup.engines.java import make_folder
from neardup.engines.kafka import KAFKA
from neardup.engines.logs import explanation, log_file, rotate
from neardup.engines.loopback import choose_port, is_listening
from neardup.engines.opensearch import OPENSEARCH
from neardup.engines.processes import find, resident_bytes, spawn, terminate
from neardup.engines.redis import REDIS
from neardup.engines.reporter import Reporter, SilentReporter
from neardup.engines.scorer import SCORER
from neardup.engines.state import ProcessRecord, State, exclusive, read_state, write_state
from neardup.errors import ConfigError, NearDupError
from neardup.settings import Settings

__all__ = ["ENGINES", "EngineStatus", "down", "select", "start", "status", "up", "wipe"]

ENGINES: Final[dict[str, Engine]] = {engine.name: engine for engine in (OPENSEARCH, KAFKA, JANUSGRAPH, REDIS, SCORER)}

_READY_WITHIN_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """One engine now. `healthy`: a real operation succeeded; `failing`: it runs, but that operation failed; `died`: it
    was started and has ended by itself; `stopped`: it was not started, or taken down. `detail`: why."""

    name: str
    state: Literal["healthy", "failing", "died", "stopped"]
    version: str | None = None
    port: int | None = None
    pid: int | None = None
    rss_bytes: int | None = None
    detail: str = ""


def select(names: Sequence[str]) -> list[Engine]:
    """The engines of these names, all when there are none. Raises ConfigError for an unknown name."""
    for name in names:
        if name not in ENGINES:
            raise ConfigError(f"no engine is called {name!r}; they are: {', '.join(ENGINES)}")
    return [engine for engine in ENGINES.values() if engine.name in names or not names]


def up(settings: Settings, *, reporter: Reporter | None = None) -> Endpoints:
    """Start every engine that does not run, wait until all answer, and say where they are. Raises ConfigError."""
    start(settings, [], reporter=reporter)
    return local_endpoints(settings.local)


def start(settings: Settings, names: Sequence[str], *, reporter: Reporter | None = None) -> None:
    """`up` for some engines only (none named: all).

    Raises ConfigError with one paragraph for each engine that failed; the others are up.
    """
    reporter = reporter or SilentReporter()
    engines, home = select(names), _home(settings)
    with exclusive(home / "engines.lock", waiting=reporter.waiting):
        register = _Register(home)
        absent = [engine for engine in engines if register.running(engine.name) is None]
        locks = {engine.name: load_lock(engine.name) for engine in absent if engine.lock}
        download(locks, cache=_cache(settings), base_url=settings.local.maven_url, reporter=reporter)
        sites = {engine.name: register.site(engine, settings) for engine in engines}
        with ThreadPoolExecutor(len(engines), thread_name_prefix="engine") as pool:
            attempts = [pool.submit(_bring_up, engine, sites[engine.name], register, reporter) for engine in engines]
            problems = [error for attempt in attempts if (error := attempt.exception())]
    for problem in problems:
        if not isinstance(problem, NearDupError):
            raise problem
    if problems:
        raise ConfigError("\n".join(str(problem) for problem in problems)) from problems[0]


def down(settings: Settings, names: Sequence[str], *, reporter: Reporter | None = None) -> None:
    """End these engines (none named: all) and whatever processes they started. Their data stay. Raises ConfigError."""
    reporter = reporter or SilentReporter()
    engines, home = select(names), _home(settings)
    with exclusive(home / "engines.lock", waiting=reporter.waiting):
        register = _Register(home)
        with ThreadPoolExecutor(len(engines), thread_name_prefix="engine") as pool:
            for _ in pool.map(lambda engine: _take_down(engine, register, reporter), engines):
                pass
        for engine in engines:
            keep(home / engine.name, settings.local.cache.absolute())


def status(settings: Settings, names: Sequence[str] = ()) -> list[EngineStatus]:
    """Check these engines (none named: all), each by a real operation. Changes nothing but one record in Kafka."""
    engines = select(names)
    state = read_state(settings.local.home.absolute())
    with ThreadPoolExecutor(len(engines), thread_name_prefix="engine") as pool:
        return list(pool.map(lambda engine: _check(engine, settings, state), engines))


def wipe(settings: Settings, names: Sequence[str]) -> list[Path]:
    """Delete the data of these engines (none named: all) and return the deleted folders. Downloads stay.

    Raises ConfigError, and deletes nothing, when one of them runs.
    """
    engines, home = select(names), _home(settings)
    with exclusive(home / "engines.lock"):
        register = _Register(home)
        if running := [engine.name for engine in engines if register.running(engine.name)]:
            raise ConfigError(f"{', '.join(running)}: running; first: neardup engines down")
        folders = [folder for engine in engines if (folder := home / engine.name / "data").exists()]
        for folder in folders:
            shutil.rmtree(folder)
        return folders


class _Register:
    """The state file of a home, while this process holds its lock; for several threads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._state = read_state(home)
        self._lock = threading.Lock()

    def running(self, name: str) -> psutil.Process | None:
        record = self._state.processes.get(name)
        return find(record) if record else None

    def record(self, name: str) -> ProcessRecord | None:
        return self._state.processes.get(name)

    def site(self, engine: Engine, settings: Settings) -> Site:
        """The site of an engine: its present ports when it runs, else ports that are free now."""
        pinned: int | None = getattr(settings.local, f"{engine.name}_port")
        setting = f"NEARDUP_LOCAL__{engine.name.upper()}_PORT"
        record = self.record(engine.name)
        if record and self.running(engine.name):
            if pinned not in {None, record.port}:
                raise ConfigError(
                    f"{setting}: {engine.name} runs on port {record.port}, not on {pinned}; to move it: "
                    f"neardup engines down --engine {engine.name}, then up"
                )
            return _site(engine, settings, self._state)
        others = {port for key, port in self._state.ports.items() if key.partition(".")[0] != engine.name}
        ports: dict[str, int] = {}
        for purpose in ("", *engine.purposes):
            ports[_key(engine, purpose)] = choose_port(
                setting=setting,
                pinned=None if purpose else pinned,
                remembered=self._state.ports.get(_key(engine, purpose)),
                taken={*others, *ports.values()},
            )
        with self._lock:
            self._state = State(ports={**self._state.ports, **ports}, processes=self._state.processes)
        return _site(engine, settings, self._state)

    def started(self, name: str, record: ProcessRecord) -> None:
        with self._lock:
            self._state = self._state.started(name, record)
            write_state(self._home, self._state)

    def stopped(self, name: str) -> None:
        with self._lock:
            self._state = self._state.stopped(name)
            write_state(self._home, self._state)


def _bring_up(engine: Engine, site: Site, register: _Register, reporter: Reporter) -> None:
    begun, log = time.monotonic(), log_file(site.folder.parent, engine.name)
    record = register.record(engine.name)
    was_running = register.running(engine.name) is not None
    written = 0
    if record is None or not was_running:
        reporter.engine(engine.name, "preparing", 0.0)
        try:
            make_folder(site.folder)
            written = rotate(log)
            launch = engine.prepare(site)
            record = spawn(launch, log=log, port=site.port)
            register.started(engine.name, record)
        except OSError as exc:
            raise _unwritable(engine, site, exc) from exc
        reporter.engine(engine.name, "starting", time.monotonic() - begun)
    _await_answer(engine, site, record, log=log, since=written)
    reporter.engine(engine.name, "running" if was_running else "ready", time.monotonic() - begun)


def _await_answer(engine: Engine, site: Site, record: ProcessRecord, *, log: Path, since: int) -> None:
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    problem = "it does not listen"
    while time.monotonic() < deadline:
        if is_listening(site.port):
            try:
                engine.probe(site)
            except NearDupError as exc:
                problem = str(exc)
            else:
                return
        if find(record) is None:
            raise ConfigError(
                f"{engine.name} ended while starting. The last lines of its log that may say why:\n"
                f"{explanation(log, since=since)}\n"
                f"  The whole log: neardup engines logs {engine.name}\n"
                f"  If its data are damaged, begin anew: neardup engines wipe --engine {engine.name} --yes"
            )
        time.sleep(0.1)
    raise ConfigError(
        f"{engine.name} runs (pid {record.pid}) but did not answer within {_READY_WITHIN_SECONDS:.0f} s: {problem}\n"
        f"  Its log: neardup engines logs {engine.name}\n"
        f"  To start it again: neardup engines down --engine {engine.name}; neardup engines up"
    )


def _take_down(engine: Engine, register: _Register, reporter: Reporter) -> None:
    begun = time.monotonic()
    if process := register.running(engine.name):
        reporter.engine(engine.name, "stopping", 0.0)
        try:
            terminate([process], patience_seconds=engine.patience_seconds)
        except psutil.AccessDenied as exc:
            raise ConfigError(f"{engine.name}: pid {process.pid} belongs to {process.username()}, not to you") from exc
        reporter.engine(engine.name, "stopped", time.monotonic() - begun)
    if register.record(engine.name):
        register.stopped(engine.name)


def _check(engine: Engine, settings: Settings, state: State) -> EngineStatus:
    record = state.processes.get(engine.name)
    if record is None:
        return EngineStatus(name=engine.name, state="stopped", version=engine.version)
    process = find(record)
    if process is None:
        detail = f"start it again: neardup engines up; why: neardup engines logs {engine.name}"
        return EngineStatus(name=engine.name, state="died", version=engine.version, port=record.port, detail=detail)
    alive = EngineStatus(
        name=engine.name, state="healthy", port=record.port, pid=record.pid, rss_bytes=resident_bytes(process)
    )
    try:
        return replace(alive, version=engine.probe(_site(engine, settings, state)))
    except NearDupError as exc:
        return replace(alive, state="failing", version=engine.version, detail=str(exc))


def _site(engine: Engine, settings: Settings, state: State) -> Site:
    return Site(
        folder=settings.local.home.absolute() / engine.name,
        cache=settings.local.cache.absolute(),
        ports={purpose: state.ports[_key(engine, purpose)] for purpose in ("", *engine.purposes)},
        settings=settings,
    )


def _key(engine: Engine, purpose: str) -> str:
    return f"{engine.name}.{purpose}" if purpose else engine.name


def _home(settings: Settings) -> Path:
    return _folder(settings.local.home, setting="NEARDUP_LOCAL__HOME")


def _cache(settings: Settings) -> Path:
    return _folder(settings.local.cache, setting="NEARDUP_LOCAL__CACHE")


def _folder(path: Path, *, setting: str) -> Path:
    try:
        return make_folder(path.absolute())
    except OSError as exc:
        raise ConfigError(f"{setting}: {path} cannot be made: {exc.strerror}") from exc


def _unwritable(engine: Engine, site: Site, exc: OSError) -> ConfigError:
    if exc.errno == errno.ENOSPC:
        return ConfigError(f"{engine.name}: disk full: {site.folder}; make room, then: neardup engines up")
    return ConfigError(
        f"{engine.name}: {exc.filename or site.folder}: {exc.strerror}; was this home used by another user? "
        "Set NEARDUP_LOCAL__HOME to a folder of yours"
    )
