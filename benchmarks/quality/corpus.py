"""The pictures that are judged: those of the evaluation side, distinct, each folder a source; and their edited copies.

What the edits need of other pictures comes from the training sides, so no background is itself in the corpus.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from neardup.cli.edits_run import make_copies
from neardup.demo.corpus import sample_photos
from neardup.embedder import training
from neardup.embedder.training import Picture
from neardup.errors import ConfigError
from neardup.evaluation.manifest import Row, read_manifest, write_manifest
from neardup.types import ImageId

__all__ = ["DEMO", "Corpus", "find_corpus"]

DEMO: Final = "demo"
_BACKDROPS: Final = 600
_DISTRACTORS: Final = 60
"""Of each source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """`sources`: name -> pictures to judge by; `distractors`: name -> further pictures of the evaluation side, which
    nothing may be merged with; `backdrops`: pictures that are none of these."""

    sources: dict[str, list[Path]]
    distractors: dict[str, list[Path]]
    backdrops: list[Path]

    def copies(self, out: Path, *, hard: bool, each: int | None) -> list[Row]:
        """Write the copies, the distractors and their manifest.csv into `out`; `hard`: the harder edits as well."""
        pictures = {Path(name): files for name, files in self.sources.items()}
        made = make_copies(pictures, out, hard=hard, each=each, others=self.backdrops or None, quiet=False)
        manifest = Path(made["manifest"])
        write_manifest(manifest, [*read_manifest(manifest), *self._distract(out)])
        return read_manifest(manifest)

    def _distract(self, out: Path) -> Iterator[Row]:
        for source, files in self.distractors.items():
            folder = out / f"distractors-{source}"
            folder.mkdir(parents=True)
            for file in files:
                copied = Path(shutil.copy(file, folder))
                name = str(copied.relative_to(out))
                yield Row(image_id=ImageId(name), file=copied, source_id=name, source=source)


def find_corpus(folders: Sequence[Path], cache: Path, *, at_most: int, demo: int | None) -> Corpus:
    """At most `at_most` pictures of each folder, and `demo` of the sample photos, which train nothing. Raises
    ConfigError."""
    photos = sample_photos()
    sources: dict[str, list[Path]] = defaultdict(list)
    distractors: dict[str, list[Path]] = defaultdict(list)
    if demo is not None:
        sources[DEMO] = photos[:: max(1, len(photos) // demo)][:demo]
    pictures = _distinct(training.find_pictures(folders), training.find_pictures([photos[0].parent]), cache)
    for picture in pictures:
        name = picture.folder.resolve().name
        if picture.side != "evaluation":
            continue
        if len(sources[name]) < at_most:
            sources[name].append(picture.path)
        elif len(distractors[name]) < _DISTRACTORS:
            distractors[name].append(picture.path)
    if not sources:
        raise ConfigError("no pictures to judge by: name folders with --pictures, or use --quick")
    others = [picture.path for picture in pictures if picture.side == "whitening"]
    return Corpus(sources=dict(sources), distractors=dict(distractors), backdrops=others[:_BACKDROPS])


def _distinct(pictures: Sequence[Picture], kept_out: Sequence[Picture], cache: Path) -> list[Picture]:
    """Without near copies, of whatever side, and without what is tiny or flat: as the training chooses."""
    if not pictures:
        return []
    raw = training.originals_of(pictures, cache, jobs=2, advance=lambda: None)
    excluded = training.originals_of(kept_out, cache, jobs=2, advance=lambda: None)
    usable = [picture for picture in pictures if picture.sha256 in raw]
    rows = training.distinct(
        np.stack([raw[picture.sha256] for picture in usable]), kept_out=np.stack(list(excluded.values()))
    )
    return [usable[row] for row in rows]
