"""An edit: an alteration of a picture with a name, and how the result is written to a file.

An edit is deterministic: what looks random in it (a place, a noise) is seeded by the name of the file and of the edit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Final, Literal

from PIL import Image

from neardup.edits.backdrops import DRAWN, Backdrops
from neardup.embedder.decode import Decode, decode

__all__ = ["DIFFICULTIES", "Alteration", "Difficulty", "Edit", "Format", "chain", "unchanged"]

Alteration = Callable[[Image.Image, Random, Backdrops], Image.Image]
Format = Literal["jpeg", "webp", "png"]
Difficulty = Literal["easy", "medium", "hard", "extreme"]

DIFFICULTIES: Final[tuple[Difficulty, ...]] = ("easy", "medium", "hard", "extreme")
_SUFFIXES: Final[dict[Format, str]] = {"jpeg": ".jpg", "webp": ".webp", "png": ".png"}


@dataclass(frozen=True, slots=True)
class Edit:
    """`family` groups edits of one kind in reports; `quality` is that of the written file."""

    name: str
    family: str
    alter: Alteration
    format: Format = "jpeg"
    quality: int = 88
    difficulty: Difficulty = "easy"

    def apply(
        self, data: bytes, file_name: str, backdrops: Backdrops = DRAWN, *, decode: Decode = decode
    ) -> tuple[str, bytes]:
        """Image file -> suffix and bytes of the changed file; `backdrops` gives other pictures to edits that need some;
        `decode` reads the file. Raises InvalidImageError."""
        return self.apply_to_picture(decode(data, side=2048), file_name, backdrops)

    def apply_to_picture(self, image: Image.Image, file_name: str, backdrops: Backdrops = DRAWN) -> tuple[str, bytes]:
        """The same for a picture that was decoded already."""
        rng = Random(f"{file_name}|{self.name}")  # noqa: S311 - places and noise, not secrets
        return self.apply_to(image, rng, backdrops)

    def apply_to(self, image: Image.Image, rng: Random, backdrops: Backdrops = DRAWN) -> tuple[str, bytes]:
        """The same for a decoded picture and the caller's own randomness."""
        stream = BytesIO()
        self.alter(image, rng, backdrops).save(stream, self.format, quality=self.quality)
        return _SUFFIXES[self.format], stream.getvalue()


def unchanged(image: Image.Image, _: Random, __: Backdrops) -> Image.Image:
    """The picture as it is; writing the file is all that happens to it."""
    return image


def chain(*alterations: Alteration) -> Alteration:
    """One alteration after the other."""

    def all_of_them(image: Image.Image, rng: Random, backdrops: Backdrops) -> Image.Image:
        for alter in alterations:
            image = alter(image, rng, backdrops)
        return image

    return all_of_them
