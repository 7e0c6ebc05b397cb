"""The images of a demo: originals and edited copies of them, as files that can be looked at afterwards."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from neardup.edits.named import EDITS, Edit
from neardup.embedder.decode import Decode, decode
from neardup.errors import ConfigError, InvalidImageError
from neardup.types import ImageId

__all__ = ["ORIGINAL", "Copy", "make_copies", "plan_copies", "sample_photos"]

ORIGINAL = "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One image of the demo: `source` names the photo it was made from, `edit` how (None: the photo itself)."""

    source: str
    edit: Edit | None
    photo: Path
    folder: Path

    @property
    def edit_name(self) -> str:
        """The name of the edit, or "original"."""
        return self.edit.name if self.edit else ORIGINAL


def sample_photos() -> list[Path]:
    """The photos that come with the project."""
    folder = Path(str(files("neardup.demo") / "photos"))
    photos = sorted(folder.glob("*.jpg"))
    if not photos:
        raise ConfigError(f"{folder}: the sample photos are missing; is the installation complete?")
    return photos


def plan_copies(photos: Sequence[Path], folder: Path, *, edits_a_photo: int) -> list[Copy]:
    """The originals and, for each, some of the edits: in turn, so that every edit is used about equally often."""
    copies = []
    for number, photo in enumerate(photos):
        source = f"{number:03d}-{photo.stem}"
        chosen = [EDITS[(number * edits_a_photo + k) % len(EDITS)] for k in range(min(edits_a_photo, len(EDITS)))]
        copies += [Copy(source=source, edit=edit, photo=photo, folder=folder / source) for edit in (None, *chosen)]
    return copies


def make_copies(copies: Sequence[Copy], *, decode: Decode = decode) -> Iterator[tuple[Copy, Path | str]]:
    """Write each copy; gives its file, or the reason why the photo cannot be used. `decode` reads the photos."""
    for copy in copies:
        copy.folder.mkdir(parents=True, exist_ok=True)
        try:
            if copy.edit is None:
                suffix, data = copy.photo.suffix, copy.photo.read_bytes()
            else:
                suffix, data = copy.edit.apply(copy.photo.read_bytes(), copy.photo.name, decode=decode)
        except InvalidImageError as exc:
            yield copy, str(exc)
            continue
        file = copy.folder / f"{copy.edit_name}{suffix}"
        file.write_bytes(data)
        yield copy, file


def clear(folder: Path) -> None:
    """Remove the images of an earlier demo."""
    shutil.rmtree(folder, ignore_errors=True)


def image_id(file: Path) -> ImageId:
    """The id of a demo image: the path under which `neardup query` finds it."""
    return ImageId(str(file.absolute()))
