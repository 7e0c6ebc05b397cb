"""Named edits of image files: fixed ones for the demo and for evaluation, varied ones for training.

An edit is deterministic: what looks random in it (a place, a noise) is seeded by the name of the file and of the edit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Final, Literal

from PIL import Image

from neardup.edits import alter
from neardup.embedder.decode import Decode, decode

__all__ = ["EDITS", "Edit", "varied_edit"]

Alteration = Callable[[Image.Image, Random], Image.Image]
Format = Literal["jpeg", "webp", "png"]

_SUFFIXES: Final[dict[Format, str]] = {"jpeg": ".jpg", "webp": ".webp", "png": ".png"}


@dataclass(frozen=True, slots=True)
class Edit:
    """`family` groups edits of one kind in reports; `quality` is that of the written file."""

    name: str
    family: str
    alter: Alteration
    format: Format = "jpeg"
    quality: int = 88

    def apply(self, data: bytes, file_name: str, *, decode: Decode = decode) -> tuple[str, bytes]:
        """Image file -> suffix and bytes of the changed file; `decode` reads it. Raises InvalidImageError."""
        rng = Random(f"{file_name}|{self.name}")  # noqa: S311 - places and noise, not secrets
        return self.apply_to(decode(data, side=2048), rng)

    def apply_to(self, image: Image.Image, rng: Random) -> tuple[str, bytes]:
        """The same for a decoded picture and the caller's own randomness."""
        stream = BytesIO()
        self.alter(image, rng).save(stream, self.format, quality=self.quality)
        return _SUFFIXES[self.format], stream.getvalue()


def _same(image: Image.Image, _: Random) -> Image.Image:
    return image


EDITS: Final[tuple[Edit, ...]] = (
    Edit("re-encode-q30", "re-encode", _same, quality=30),
    Edit("webp-q50", "re-encode", _same, "webp", quality=50),
    Edit("half", "resize", lambda i, _: alter.resize(i, 0.5)),
    Edit("quarter", "resize", lambda i, _: alter.resize(i, 0.25)),
    Edit("stretch", "resize", lambda i, _: alter.stretch(i, 1.2)),
    Edit("crop-10", "crop", lambda i, r: alter.crop(i, 0.1, r)),
    Edit("crop-20", "crop", lambda i, r: alter.crop(i, 0.2, r)),
    Edit("crop-30", "crop", lambda i, r: alter.crop(i, 0.3, r)),
    Edit("flip", "flip", lambda i, _: alter.flip(i)),
    Edit("rotate-3", "rotate", lambda i, _: alter.rotate(i, 3)),
    Edit("rotate-5", "rotate", lambda i, _: alter.rotate(i, -5)),
    Edit("border", "frame", lambda i, _: alter.border(i, 0.06, (245, 245, 245))),
    Edit("letterbox", "frame", lambda i, _: alter.letterbox(i, 0.2)),
    Edit("screenshot", "screenshot", lambda i, r: alter.screenshot(i, dark=False, lines=2, rng=r), "png"),
    Edit("grey", "colour", lambda i, _: alter.grey(i)),
    Edit("saturation", "colour", lambda i, _: alter.saturation(i, 1.7)),
    Edit("tint", "colour", lambda i, _: alter.tint(i, (255, 205, 150), 0.8)),
    Edit("brighter", "light", lambda i, _: alter.brightness(i, 1.35)),
    Edit("darker", "light", lambda i, _: alter.brightness(i, 0.65)),
    Edit("contrast", "light", lambda i, _: alter.contrast(i, 1.5)),
    Edit("gamma", "light", lambda i, _: alter.gamma(i, 0.7)),
    Edit("blur", "detail", lambda i, _: alter.smooth(i, 0.006)),
    Edit("sharpen", "detail", lambda i, _: alter.sharpen(i, 180)),
    Edit("noise", "detail", lambda i, r: alter.noise(i, 14, r)),
    Edit("watermark", "overlay", lambda i, r: alter.watermark(i, "© example.org", 0.09, 0.6, r)),
    Edit("sticker", "overlay", lambda i, r: alter.sticker(i, 0.28, (255, 214, 60), r)),
)
"""The fixed edits."""


_VARIED: Final[dict[str, Alteration]] = {
    "re-encode": _same,
    "resize": lambda i, r: alter.resize(i, r.uniform(0.2, 0.9)),
    "stretch": lambda i, r: alter.stretch(i, r.uniform(0.75, 1.33)),
    "crop": lambda i, r: alter.crop(i, r.uniform(0.04, 0.2), r),
    "crop more": lambda i, r: alter.crop(i, r.uniform(0.18, 0.35), r),
    "flip": lambda i, _: alter.flip(i),
    "rotate": lambda i, r: alter.rotate(i, r.uniform(-7, 7), fill=_shade(r)),
    "border": lambda i, r: alter.border(i, r.uniform(0.01, 0.12), _shade(r)),
    "letterbox": lambda i, r: alter.letterbox(i, r.uniform(0.05, 0.3), _shade(r)),
    "screenshot": lambda i, r: alter.screenshot(i, dark=r.random() < 0.5, lines=r.randint(1, 4), rng=r),
    "grey": lambda i, _: alter.grey(i),
    "saturation": lambda i, r: alter.saturation(i, r.uniform(0.2, 2.0)),
    "tint": lambda i, r: alter.tint(i, _colour(r), r.uniform(0.3, 0.9)),
    "brightness": lambda i, r: alter.brightness(i, r.uniform(0.55, 1.5)),
    "contrast": lambda i, r: alter.contrast(i, r.uniform(0.6, 1.7)),
    "gamma": lambda i, r: alter.gamma(i, r.uniform(0.6, 1.6)),
    "smooth": lambda i, r: alter.smooth(i, r.uniform(0.002, 0.01)),
    "sharpen": lambda i, r: alter.sharpen(i, r.randint(80, 250)),
    "pixelate": lambda i, r: alter.pixelate(i, r.uniform(0.15, 0.4)),
    "noise": lambda i, r: alter.noise(i, r.uniform(5, 22), r),
    "watermark": lambda i, r: alter.watermark(i, _text(r), r.uniform(0.05, 0.16), r.uniform(0.3, 1.0), r),
    "sticker": lambda i, r: alter.sticker(i, r.uniform(0.15, 0.35), _colour(r), r),
}
_MILD: Final = ("crop", "flip", "brightness", "contrast", "saturation", "resize", "watermark", "border", "grey")


def varied_edit(rng: Random) -> Edit:
    """An edit with random parameters: three times out of ten two alterations, one after the other."""
    name = rng.choice(tuple(_VARIED))
    first = _VARIED[name]
    second: Alteration = _same
    if rng.random() < 0.3:
        other = rng.choice(_MILD)
        name, second = f"{name} + {other}", _VARIED[other]
    written: Format = rng.choice(("jpeg", "jpeg", "jpeg", "webp"))
    return Edit(name, name, lambda i, r: second(first(i, r), r), written, rng.randint(25, 95))


def _shade(rng: Random) -> alter.Colour:
    level = rng.choice((0, 0, 20, 128, 240, 255, 255))
    return (level, level, level)


def _colour(rng: Random) -> alter.Colour:
    return (rng.randint(60, 255), rng.randint(60, 255), rng.randint(60, 255))


def _text(rng: Random) -> str:
    return rng.choice(("© example.org", "SAMPLE", "photo by anna", "BREAKING NEWS", "2026-05-01 12:00", "lol"))
