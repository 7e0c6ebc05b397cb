"""`neardup doctor`: what of this machine, installation, settings and engines is in order, and the remedy if not.

A check is a function Settings -> findings. Others add theirs: `examine(settings, (*CHECKS, mine))`.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import psutil

from neardup.engines.artifacts import load_lock, sha256_of
from neardup.engines.download import missing
from neardup.engines.java import find_java, may_enter, unprivileged
from neardup.engines.loopback import is_free, owner_of
from neardup.engines.processes import find
from neardup.engines.state import read_state
from neardup.engines.supervisor import ENGINES, status
from neardup.errors import NearDupError
from neardup.settings import Settings

__all__ = ["CHECKS", "Check", "Finding", "examine"]

_PACKAGES: Final = ("neardup", "indexer", "query", "scorer", "graph", "opensearch_templates")
_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of a check: what was found, and for WARN and FAIL what to do."""

    name: str
    level: Literal["OK", "WARN", "FAIL"]
    found: str
    remedy: str = ""


Check = Callable[[Settings], Iterable[Finding]]
"""Looks at one matter. A NearDupError that it lets through becomes a FAIL of that name."""


def examine(settings: Settings, checks: Sequence[Check]) -> list[Finding]:
    """Run the checks in order; an error in one does not stop the others."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(settings)
        except (NearDupError, OSError) as exc:
            findings.append(Finding(name=check.__name__, level="FAIL", found=str(exc), remedy="see the message"))
    return findings


def python(_: Settings) -> Iterable[Finding]:
    """Version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(name="python", level="OK", found=f"{version} at {sys.executable}")


def installation(_: Settings) -> Iterable[Finding]:
    """Every package of the wheel is there, with its data."""
    absent = [name for name in _PACKAGES if not (files(name) / "py.typed").is_file()]
    absent += [f"locks/{name}.lock" for name, engine in ENGINES.items() if engine.lock and not load_lock(name)]
    if absent:
        yield Finding(
            name="installation", level="FAIL", found=f"absent: {', '.join(absent)}", remedy="install neardup again"
        )
    else:
        yield Finding(name="installation", level="OK", found=f"{len(_PACKAGES)} packages complete")


def configuration(settings: Settings) -> Iterable[Finding]:
    """Settings from the environment; a misspelt variable is otherwise ignored silently."""
    fields = set(type(settings).model_fields)
    given = [name for name in os.environ if name.startswith("NEARDUP_")]
    unknown = [name for name in given if name[8:].split("__")[0].lower() not in fields]
    if unknown:
        yield Finding(
            name="settings",
            level="WARN",
            found=f"no such setting: {', '.join(sorted(unknown))}",
            remedy="see docs/settings.md; groups are joined by two underscores: NEARDUP_LSH__TABLES",
        )
    else:
        yield Finding(name="settings", level="OK", found=f"{len(given)} set in the environment, the others default")


def folders(settings: Settings) -> Iterable[Finding]:
    """Home and cache can be written, and entered by the user that OpenSearch runs as."""
    for setting, folder in (
        ("NEARDUP_LOCAL__HOME", settings.local.home),
        ("NEARDUP_LOCAL__CACHE", settings.local.cache),
    ):
        existing = _nearest(folder)
        if not os.access(existing, os.W_OK | os.X_OK):
            yield Finding(
                name=setting, level="FAIL", found=f"{existing} cannot be written", remedy=f"set {setting} to yours"
            )
        elif setting.endswith("HOME") and not may_enter(existing, unprivileged()):
            yield Finding(
                name=setting,
                level="FAIL",
                found=f"{folder} cannot be entered by 'nobody', whom OpenSearch runs as when you are root",
                remedy=f"set {setting} to a folder that others may enter, such as /var/lib/neardup",
            )
        else:
            yield Finding(name=setting, level="OK", found=str(folder))


def disk(settings: Settings) -> Iterable[Finding]:
    """Room for downloads (250 MB) and for data."""
    for name, folder in (("disk for data", settings.local.home), ("disk for downloads", settings.local.cache)):
        free = shutil.disk_usage(_nearest(folder)).free / _GIB
        level: Literal["OK", "WARN", "FAIL"] = "OK" if free >= 5 else "WARN" if free >= 1 else "FAIL"
        remedy = "" if level == "OK" else f"make room; {folder} should have 5 GB"
        yield Finding(name=name, level=level, found=f"{free:.1f} GB free", remedy=remedy)


def memory(settings: Settings) -> Iterable[Finding]:
    """Memory for all engines: about 1 GB idle, up to 3 GB under load."""
    running = sum(1 for record in read_state(settings.local.home).processes.values() if find(record))
    available = psutil.virtual_memory().available / _GIB
    enough = running == len(ENGINES) or available >= 3
    level: Literal["OK", "WARN", "FAIL"] = "OK" if enough else "WARN" if available >= 1.5 else "FAIL"
    remedy = "" if enough else "end other programs; the engines take about 1 GB idle and up to 3 GB under load"
    yield Finding(name="memory", level=level, found=f"{available:.1f} GB available", remedy=remedy)


def java(settings: Settings) -> Iterable[Finding]:
    """A Java runtime."""
    yield Finding(name="java", level="OK", found=str(find_java(settings.local.java_home)))


def downloads(settings: Settings) -> Iterable[Finding]:
    """The cached artifacts are whole and have the checksums of the lock files."""
    for name, engine in ENGINES.items():
        if not engine.lock:
            continue
        artifacts, cache = load_lock(name), settings.local.cache
        absent = missing(artifacts, cache)
        wrong = [a.cached(cache) for a in artifacts if a not in absent and sha256_of(a.cached(cache)) != a.sha256]
        if wrong:
            remedy = f"delete {', '.join(map(str, wrong))}; then: neardup engines up"
            yield Finding(name=f"downloads {name}", level="FAIL", found=f"{len(wrong)} altered", remedy=remedy)
        elif absent:
            found = f"{len(absent)} of {len(artifacts)} files ({sum(a.size for a in absent) / 1e6:.0f} MB) not here yet"
            yield Finding(name=f"downloads {name}", level="WARN", found=found, remedy="neardup engines up")
        else:
            yield Finding(name=f"downloads {name}", level="OK", found=f"{len(artifacts)} files, checksums right")


def ports(settings: Settings) -> Iterable[Finding]:
    """Pinned ports are free, or taken by the engine itself."""
    state = read_state(settings.local.home)
    for name in ENGINES:
        pinned: int | None = getattr(settings.local, f"{name}_port")
        record = state.processes.get(name)
        if pinned is None or (record and find(record)):
            continue
        setting = f"NEARDUP_LOCAL__{name.upper()}_PORT"
        if is_free(pinned):
            yield Finding(name=setting, level="OK", found=f"{pinned} is free")
        else:
            found = f"{pinned} is in use{owner_of(pinned)}"
            yield Finding(name=setting, level="FAIL", found=found, remedy="free it or choose another")


def health(settings: Settings) -> Iterable[Finding]:
    """The engines answer."""
    for one in status(settings):
        if one.state == "healthy":
            found = f"{one.state}, {one.version}, port {one.port}, pid {one.pid}"
            yield Finding(name=one.name, level="OK", found=found)
        elif one.state == "stopped":
            yield Finding(name=one.name, level="WARN", found=one.state, remedy="neardup engines up")
        else:
            yield Finding(
                name=one.name,
                level="FAIL",
                found=f"{one.state}: {one.detail}",
                remedy=f"neardup engines logs {one.name}",
            )


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(part for part in (folder.absolute(), *folder.absolute().parents) if part.exists())


CHECKS: Final[tuple[Check, ...]] = (
    python,
    installation,
    configuration,
    folders,
    disk,
    memory,
    java,
    downloads,
    ports,
    health,
)
