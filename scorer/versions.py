"""The versions of a model in a folder, followed as TensorFlow Serving follows them.

The highest version that can be loaded is served. A new one is loaded beside it and takes its place in one step; one
that cannot be loaded is refused, with its reason, and tried again when its files have changed. When the served version
is removed, the next lower one comes back. Unlike TensorFlow Serving, the last version is kept when the folder is empty:
scores of a model that was removed are better than none.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

import numpy as np

from neardup.errors import ConfigError
from scorer import calibration
from scorer.layout import FIRST_SIGHT_FILE, MODEL_FILE, version_folders
from scorer.runtime import OnnxModel
from scorer.wire import FIRST_SIGHT, INPUTS, OUTPUTS, SIGNATURE, Array

__all__ = ["ModelVersion", "ModelVersions", "State", "VersionState"]

_LOG: Final = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of change of every file in a folder: what tells whether to try it again."""


class State(IntEnum):
    """`ModelVersionStatus.State` of TensorFlow Serving."""

    LOADING = 20
    AVAILABLE = 30
    END = 50


@dataclass(frozen=True, slots=True)
class VersionState:
    """What became of one version; `error` says why it was refused, or is empty."""

    version: int
    state: State
    error: str = ""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version that can be served: what it computes, by the name of the signature."""

    number: int
    signatures: Mapping[str, OnnxModel]

    @classmethod
    def load(cls, folder: Path) -> "ModelVersion":
        """Raises ConfigError naming the file that is wrong, and saying how."""
        number = int(folder.name)
        _check_calibration(folder, number)
        signatures = {SIGNATURE: _loaded(folder / MODEL_FILE, SIGNATURE)}
        if (folder / FIRST_SIGHT_FILE).is_file():
            signatures[FIRST_SIGHT] = _loaded(folder / FIRST_SIGHT_FILE, FIRST_SIGHT)
        return cls(number, signatures)


@dataclass(slots=True)
class ModelVersions:
    """The models of one folder. `poll` is for one thread; everything else may be read by any.

    `model_dir`: a folder of numbered versions.
    """

    model_dir: Path
    _current: ModelVersion | None = None
    _states: Mapping[int, VersionState] = field(default_factory=dict)
    _refused: dict[int, Stamp] = field(default_factory=dict)
    _emptied: bool = False

    @property
    def current(self) -> ModelVersion:
        """The served version. Raises ConfigError when none was ever loaded."""
        if self._current is None:
            reasons = [state.error for state in self.states() if state.error]
            raise ConfigError(
                "; ".join(reasons) or f"no model: {self.model_dir} has no numbered folder with a {MODEL_FILE}"
            )
        return self._current

    def states(self) -> list[VersionState]:
        """Every version seen so far, the highest first."""
        return sorted(self._states.values(), key=lambda state: -state.version)

    def poll(self) -> None:
        """Look at the folder once, and serve what now should be served."""
        try:
            folders = version_folders(self.model_dir)
        except OSError as exc:
            _LOG.warning("%s: cannot read the versions: %s", self.model_dir, exc.strerror)
            return
        for version in self._refused.keys() - folders.keys():
            del self._refused[version]
        self._note_emptiness(empty=not folders)
        for version, folder in folders.items():
            if self._current is not None and version == self._current.number:
                return
            model = self._load(version, folder)
            if model is not None:
                self._switch_to(model)
                return

    def _load(self, version: int, folder: Path) -> ModelVersion | None:
        """The version, or None when it is refused, now or before."""
        before = _stamp(folder)
        if self._refused.get(version) == before:
            return None
        self._note(VersionState(version, State.LOADING))
        try:
            model = ModelVersion.load(folder)
        except ConfigError as exc:
            self._refused[version] = before
            self._note(VersionState(version, State.END, str(exc)))
            _LOG.warning("version %d is refused: %s", version, exc)
            return None
        if _stamp(folder) != before:
            # Still being written: what was loaded may be half old, half new.
            return None
        self._refused.pop(version, None)
        return model

    def _switch_to(self, model: ModelVersion) -> None:
        old, self._current = self._current, model
        self._note(VersionState(model.number, State.AVAILABLE))
        if old is not None:
            # Requests under way hold on to it until they are answered.
            self._note(VersionState(old.number, State.END))
            _LOG.warning("version %d is served, in place of %d", model.number, old.number)

    def _note(self, state: VersionState) -> None:
        self._states = {**self._states, state.version: state}

    def _note_emptiness(self, *, empty: bool) -> None:
        if empty and not self._emptied and self._current is not None:
            _LOG.warning("%s has no version any more; %d stays", self.model_dir, self._current.number)
        self._emptied = empty


def _stamp(folder: Path) -> Stamp:
    return tuple(sorted(_stamps(folder)))


def _stamps(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    try:
        for file in folder.iterdir():
            found = file.stat()
            yield file.name, found.st_ino, found.st_size, found.st_mtime_ns
    except OSError:
        # Removed while we look; the next poll sees what is left.
        return


def _check_calibration(folder: Path, version: int) -> None:
    """Whoever asks for scores asks for their calibration next."""
    found = calibration.load(folder).model_version
    if found != version:
        raise ConfigError(f"{folder / calibration.CALIBRATION_FILE} is for version {found}")


def _loaded(path: Path, signature: str) -> OnnxModel:
    """A graph that takes pairs and gives the outputs of the signature, numbers from 0 to 1. Raises ConfigError saying
    what it does instead."""
    model = OnnxModel.load(path)
    outputs = set(OUTPUTS[signature])
    if set(model.input_shapes) != set(INPUTS) or set(model.output_shapes) != outputs:
        raise ConfigError(
            f"{path}: has the inputs {', '.join(model.input_shapes)} and outputs {', '.join(model.output_shapes)}, "
            f"wanted {', '.join(INPUTS)} and {' and '.join(sorted(outputs))}"
        )
    pair: dict[str, Array] = {
        name: np.ones([max(1, length) for length in shape], model.types[name])
        for name, shape in model.input_shapes.items()
    }
    try:
        found = model.run(pair)
    # onnxruntime's errors share no base class but this.
    except Exception as exc:
        raise ConfigError(f"{path}: cannot score a pair: {exc}") from exc
    for name, values in found.items():
        if values.shape != (1, 1) or not 0 <= float(values[0, 0]) <= 1:
            raise ConfigError(f"{path}: gives {name} {values.tolist()} for a pair, not one number from 0 to 1")
    return model
