"""Where models lie: a folder a model, in it a folder a version, as TensorFlow Serving has it."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from neardup.errors import ConfigError

__all__ = ["MODEL_FILE", "newest_version", "shipped_models", "version_folder"]

MODEL_FILE: Final = "model.onnx"


def shipped_models() -> Path:
    """The folder of the versions that come with the package."""
    return Path(str(files("scorer"))) / "models" / "neardup"


def version_folder(model_dir: Path | None, version: int) -> Path:
    """The folder of one version. Raises ConfigError when it is not there."""
    folder = (model_dir or shipped_models()) / str(version)
    if not folder.is_dir():
        raise ConfigError(f"model version {version} is not in {folder.parent}")
    return folder


def newest_version(model_dir: Path) -> int:
    """The highest numbered version that has a model. Raises ConfigError when there is none."""
    numbers = [
        int(folder.name)
        for folder in (model_dir.iterdir() if model_dir.is_dir() else ())
        if folder.name.isdecimal() and (folder / MODEL_FILE).is_file()
    ]
    if not numbers:
        raise ConfigError(f"no model: {model_dir} has no numbered folder with a {MODEL_FILE}")
    return max(numbers)
