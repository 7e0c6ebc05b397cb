"""Where models lie: a folder a model, in it a folder a version, as TensorFlow Serving has it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

from neardup.errors import ConfigError

__all__ = [
    "FIRST_SIGHT_FILE",
    "MODEL_FILE",
    "copy_model",
    "new_version",
    "newest_version",
    "shipped_models",
    "version_folder",
    "version_folders",
]

MODEL_FILE: Final = "model.onnx"
FIRST_SIGHT_FILE: Final = "first_sight.onnx"
"""A version need not have it: then every pair is sent with all its numbers."""


def shipped_models() -> Path:
    """The folder of the versions that come with the package."""
    return Path(str(files("scorer"))) / "models" / "neardup"


def version_folders(model_dir: Path) -> dict[int, Path]:
    """The numbered folders that hold a model file, by version, the highest first. Empty when `model_dir` is not there.

    Everything with another name is somebody's work in progress.
    """
    found = {
        int(folder.name): folder
        for folder in (model_dir.iterdir() if model_dir.is_dir() else ())
        if folder.name.isdecimal() and folder.name == str(int(folder.name)) and (folder / MODEL_FILE).is_file()
    }
    return dict(sorted(found.items(), reverse=True))


def version_folder(model_dir: Path | None, version: int) -> Path:
    """The folder of one version. Raises ConfigError when it is not there."""
    folder = (model_dir or shipped_models()) / str(version)
    if not folder.is_dir():
        raise ConfigError(f"model version {version} is not in {folder.parent}")
    return folder


def newest_version(model_dir: Path) -> int:
    """The highest numbered version that has a model. Raises ConfigError when there is none."""
    folders = version_folders(model_dir)
    if not folders:
        raise ConfigError(f"no model: {model_dir} has no numbered folder with a {MODEL_FILE}")
    return next(iter(folders))


def copy_model(source: Path, folder: Path) -> None:
    """The graphs of one version into the folder of another."""
    for name in (MODEL_FILE, FIRST_SIGHT_FILE):
        if (source / name).is_file():
            shutil.copy2(source / name, folder / name)


@contextmanager
def new_version(model_dir: Path, version: int) -> Iterator[Path]:
    """An empty folder to write a version into; it gets its number at the end of the block, all files at once.

    A server that follows `model_dir` never sees half a version. A version of that number is replaced. When the block
    raises, nothing has changed.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{version}-", dir=model_dir) as scratch:
        fresh, destination = Path(scratch) / "new", model_dir / str(version)
        fresh.mkdir()
        yield fresh
        if destination.exists():
            shutil.move(destination, Path(scratch) / "old")
        fresh.rename(destination)
