"""Environments of their own for packages that do not go together with the project's, or are too large for it."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

__all__ = ["confluent_python", "our_packages", "pythie_python", "train_python", "with_our_packages"]

ROOT = Path(__file__).parents[2]
_SHARED = ("numpy", "protobuf", "grpcio")


def train_python() -> Path:
    """A Python with the extra `train`, at the versions that the project is tested with otherwise."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return _python(".venv-train", [*extras["train"], *(f"{name}=={version(name)}" for name in _SHARED)])


def pythie_python() -> Path:
    """A Python with pythie-serving. It asks for a numpy that only Python 3.11 has, and works with newer ones."""
    requirements = ["pythie-serving==3.4.3", "protobuf>=4.22,<5", "grpcio>=1.51", "typing-extensions", "numpy>=1.23"]
    return _python(".venv-pythie", requirements, options=["--no-deps"])


def confluent_python() -> Path:
    """A Python with confluent-kafka: librdkafka, the other family of Kafka clients."""
    return _python(".venv-confluent", ["confluent-kafka==2.16.1"])


def with_our_packages() -> dict[str, str]:
    """The variables for a process of another environment that shall find this project and what it needs."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(our_packages())}


def our_packages() -> tuple[str, str]:
    """Where this project and what it needs are found."""
    return sysconfig.get_path("purelib"), str(ROOT)


def _python(name: str, requirements: Sequence[str], options: Sequence[str] = ()) -> Path:
    folder = ROOT / name
    python, stamp = folder / "bin" / "python", folder / "requirements.sha256"
    digest = hashlib.sha256(repr([sys.version, *options, *requirements]).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        venv.create(folder, with_pip=False, clear=True)
        # The pip that is there installs into the new environment.
        command = [_with_pip(), "-m", "pip", "--python", str(python), "install", "--quiet", *options, *requirements]
        subprocess.run(command, check=True, timeout=1200)
        stamp.write_text(digest)
    return python


def _with_pip() -> str:
    """This Python, or the one that its environment was made with: an environment may have no pip."""
    base = str(getattr(sys, "_base_executable", sys.executable))
    return sys.executable if importlib.util.find_spec("pip") else base
