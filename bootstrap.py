#!/usr/bin/env python3
"""From a fresh clone to a running command: python3 bootstrap.py COMMAND [ARGUMENT]…

Makes .venv from the hashed lock file, builds the wheel, installs it, then runs COMMAND in it. Each step is done again
only when what it depends on has changed. Needs Python >= 3.11 with pip, nothing else.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
SOURCES = ("pyproject.toml", "neardup", "indexer", "query", "scorer", "graph", "opensearch_templates", "NOTICE")


def main(command: list[str]) -> None:
    """Prepare what is out of date, then become the command."""
    if sys.version_info < (3, 11):
        sys.exit(f"bootstrap.py: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    if not command:
        sys.exit(f"usage: {Path(sys.argv[0]).name} COMMAND [ARGUMENT]…   for example: neardup demo, or: pytest")
    python = VENV / "bin" / "python"
    fresh = not python.exists()
    if fresh:
        _say("making .venv")
        _make_venv()
    lock = f"{sys.version_info[:2]} {_digest([LOCK])}"
    if fresh or _stamp("lock") != lock:
        _say("installing the locked dependencies")
        _pip("install", "--require-hashes", "-r", str(LOCK))
        _stamp("lock", lock)
    sources = _digest(sorted(_source_files()))
    if fresh or _stamp("wheel") != sources:
        _say("building and installing the wheel")
        _pip("install", "--no-deps", "--no-build-isolation", "--force-reinstall", str(ROOT))
        _stamp("wheel", sources)
    program = VENV / "bin" / command[0]
    if not program.exists():
        sys.exit(f"bootstrap.py: {command[0]} is not a command of this project's environment ({program.parent})")
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.execv(program, [str(program), *command[1:]])


def _make_venv() -> None:
    try:
        venv.create(VENV, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        # Some distributions leave ensurepip out; the pip that is there can install into the environment.
        venv.create(VENV, with_pip=False, clear=True)


def _pip(*arguments: str) -> None:
    python = str(VENV / "bin" / "python")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    if subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0:
        command = [python, "-m", "pip", *arguments, *quiet]
    else:
        command = [sys.executable, "-m", "pip", "--python", python, *arguments, *quiet]
    if subprocess.run(command, check=False).returncode:
        sys.exit("bootstrap.py: pip failed, see above; run the same command again to go on")


def _source_files() -> list[Path]:
    files: list[Path] = []
    for name in SOURCES:
        path = ROOT / name
        files += [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return [file for file in files if file.suffix != ".pyc"]


def _digest(files: list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def _stamp(name: str, value: str | None = None) -> str:
    file = VENV / f"bootstrap-{name}"
    if value is not None:
        file.write_text(value)
    return file.read_text() if file.exists() else ""


def _say(text: str) -> None:
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
