"""Class archives: a JVM that finds its classes parsed and verified starts with a third less CPU time.

The first run of an engine writes its archive when it ends, so the first `down` takes some seconds longer; `keep` then
puts it into the cache, for every home. Without an archive, or with one that does not fit, an engine only starts slower.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from neardup.engines.engine import Site
from neardup.engines.java import JVM_FLAGS, SERIAL, make_folder, may_enter, unprivileged
from neardup.engines.state import exclusive

__all__ = ["archive_flags", "keep", "record_folder"]

_QUIET = ("-Xlog:cds=off", "-Xlog:aot=off")
_BASE_SECONDS = 60


def archive_flags(site: Site, java: Path, classpath: str) -> Sequence[str]:
    """The JVM flags that use the engine's archive, or record one; none where that is impossible."""
    archives = make_folder(site.cache / "archives")
    if not may_enter(archives, unprivileged()):
        return ()
    runtime = (str(java), str(java.stat().st_mtime_ns), *JVM_FLAGS)
    archive = archives / f"{site.folder.name}-{_digest(*runtime, classpath)}.jsa"
    if archive.exists():
        return (*_QUIET, f"-XX:SharedArchiveFile={archive}")
    base = archives / f"base-{_digest(*runtime)}.jsa"
    if not _has_base(java, base):
        return ()
    draft = record_folder(site) / archive.name
    draft.unlink(missing_ok=True)
    return (*_QUIET, f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={draft}")


def record_folder(site: Site) -> Path:
    """Where an engine writes its archive when it ends."""
    folder = site.folder / "archive"
    folder.mkdir(exist_ok=True)
    return folder


def keep(folder: Path, cache: Path) -> None:
    """Put the archive that an engine has recorded into the cache. One that was cut off by a kill is left out: a JVM
    writes the first bytes last."""
    with suppress(OSError):
        for draft in (folder / "archive").glob("*.jsa"):
            with draft.open("rb") as file:
                whole = any(file.read(4))
            if whole:
                copy = cache / "archives" / f".{draft.name}"
                shutil.copyfile(draft, copy)
                copy.chmod(0o644)
                copy.rename(cache / "archives" / draft.name)
            draft.unlink()


def _has_base(java: Path, base: Path) -> bool:
    """Make the archive of the JDK's own classes, on which the engine's is built: a trimmed JDK comes without."""
    with exclusive(base.parent / ".lock"):
        if not base.exists():
            draft = base.with_suffix(".draft")
            command = [str(java), *JVM_FLAGS, SERIAL, "-Xshare:dump", f"-XX:SharedArchiveFile={draft}"]
            answer = subprocess.run(command, capture_output=True, check=False, timeout=_BASE_SECONDS)
            if answer.returncode != 0 or not draft.exists():
                return False
            draft.chmod(0o644)
            draft.rename(base)
    return True


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
