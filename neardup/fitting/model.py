"""The LSH model as a file: all that turns embeddings of one origin into terms."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from neardup.errors import ConfigError
from neardup.lsh import LshModel
from neardup.projection import Projection

__all__ = ["FittedModel"]

_FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """`embeddings`: the name of what makes both embeddings of an image, that is the version of the embedder, if there
    is a plug-in for it. `words`: how many words its LSH embeddings end with. `origin`: how the model was made, for
    people."""

    embeddings: str
    score_dimension: int
    tables: int
    bits_per_table: int
    seed: int
    projection: Projection
    origin: str
    words: int = 0

    @property
    def lsh_dimension(self) -> int:
        """That of the embeddings as they come, words included."""
        return len(self.projection.mean) + 2 * self.words

    @cached_property
    def lsh(self) -> LshModel:
        """The model itself. Its version is the lsh_version, so it holds the digest of everything here but `origin`."""
        return LshModel(
            dimension=self.lsh_dimension,
            embedding_version=f"{self.embeddings}-{self.score_dimension}",
            tables=self.tables,
            bits_per_table=self.bits_per_table,
            seed=self.seed,
            projection=self.projection,
            words=self.words,
        )

    def save(self, path: Path) -> None:
        """Write the file, under its name only when complete. Raises ConfigError when it cannot be written."""
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as stream:
                np.savez_compressed(
                    stream, format=np.array(_FORMAT), version=np.array(self.lsh.version), **self._parts()
                )
            partial.replace(path)
        except OSError as exc:
            raise ConfigError(f"LSH model: cannot write {path}: {exc.strerror}") from exc

    @classmethod
    def load(cls, path: Path) -> "FittedModel":
        """Raises ConfigError when the file is missing, of another format, damaged or altered."""
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                parts = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, BadZipFile) as exc:
            raise ConfigError(f"LSH model: cannot read {path}: {exc}") from exc
        if "format" not in parts:
            raise ConfigError(f"LSH model: {path} was not written by neardup fit")
        if parts.pop("format") != _FORMAT:
            raise ConfigError(f"LSH model: {path} has another format than this version reads ({_FORMAT})")
        try:
            version = str(parts.pop("version"))
            projection = Projection(parts.pop("mean"), parts.pop("matrix"))
            model = cls(projection=projection, **{name: value.item() for name, value in parts.items()})
            made = model.lsh.version
        except (KeyError, TypeError, ValueError, IndexError) as exc:
            raise ConfigError(f"LSH model: {path} is damaged: {exc}") from exc
        if made != version:
            raise ConfigError(f"LSH model: {path} was altered: it says {version} and makes {made}")
        return model

    def _parts(self) -> dict[str, Any]:
        return {
            "embeddings": np.array(self.embeddings),
            "score_dimension": np.array(self.score_dimension),
            "tables": np.array(self.tables),
            "bits_per_table": np.array(self.bits_per_table),
            "seed": np.array(self.seed),
            "mean": self.projection.mean,
            "matrix": self.projection.matrix,
            "origin": np.array(self.origin),
            "words": np.array(self.words),
        }
