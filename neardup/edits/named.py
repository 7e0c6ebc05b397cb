"""Named edits of image files: fixed ones for the demo and for evaluation, varied ones for training."""

from random import Random
from typing import Final

from neardup.edits import alter, compose, distort
from neardup.edits.edit import Alteration, Edit, Format, chain, unchanged
from neardup.edits.hard import HARD_EDITS

__all__ = ["EDITS", "HARD_EDITS", "Edit", "varied_edit"]

EDITS: Final[tuple[Edit, ...]] = (
    Edit("re-encode-q30", "re-encode", unchanged, quality=30),
    Edit("webp-q50", "re-encode", unchanged, "webp", quality=50),
    Edit("half", "resize", lambda i, *_: alter.resize(i, 0.5)),
    Edit("quarter", "resize", lambda i, *_: alter.resize(i, 0.25)),
    Edit("stretch", "resize", lambda i, *_: alter.stretch(i, 1.2)),
    Edit("crop-10", "crop", lambda i, r, _: alter.crop(i, 0.1, r)),
    Edit("crop-20", "crop", lambda i, r, _: alter.crop(i, 0.2, r)),
    Edit("crop-30", "crop", lambda i, r, _: alter.crop(i, 0.3, r), difficulty="medium"),
    Edit("flip", "flip", lambda i, *_: alter.flip(i)),
    Edit("rotate-3", "rotate", lambda i, *_: alter.rotate(i, 3)),
    Edit("rotate-5", "rotate", lambda i, *_: alter.rotate(i, -5)),
    Edit("border", "frame", lambda i, *_: alter.border(i, 0.06, (245, 245, 245))),
    Edit("letterbox", "frame", lambda i, *_: alter.letterbox(i, 0.2), difficulty="medium"),
    Edit(
        "screenshot",
        "screenshot",
        lambda i, r, _: alter.screenshot(i, dark=False, lines=2, rng=r),
        "png",
        difficulty="medium",
    ),
    Edit("grey", "colour", lambda i, *_: alter.grey(i)),
    Edit("saturation", "colour", lambda i, *_: alter.saturation(i, 1.7)),
    Edit("tint", "colour", lambda i, *_: alter.tint(i, (255, 205, 150), 0.8)),
    Edit("brighter", "light", lambda i, *_: alter.brightness(i, 1.35)),
    Edit("darker", "light", lambda i, *_: alter.brightness(i, 0.65)),
    Edit("contrast", "light", lambda i, *_: alter.contrast(i, 1.5)),
    Edit("gamma", "light", lambda i, *_: alter.gamma(i, 0.7)),
    Edit("blur", "detail", lambda i, *_: alter.smooth(i, 0.006)),
    Edit("sharpen", "detail", lambda i, *_: alter.sharpen(i, 180)),
    Edit("noise", "detail", lambda i, r, _: alter.noise(i, 14, r)),
    Edit("watermark", "overlay", lambda i, r, _: alter.watermark(i, "© example.org", 0.09, 0.6, r)),
    Edit("sticker", "overlay", lambda i, r, _: alter.sticker(i, 0.28, (255, 214, 60), r), difficulty="medium"),
    Edit("rotate-crop", "rotate", lambda i, *_: distort.rotate_and_crop(i, 8), difficulty="medium"),
    Edit("hue", "colour", lambda i, *_: distort.hue(i, -0.07), difficulty="medium"),
    Edit("caption", "overlay", lambda i, r, _: compose.caption_bar(i, r, dark=False)),
)
"""The fixed edits: what happens to pictures every day."""

_VARIED: Final[dict[str, Alteration]] = {
    "re-encode": unchanged,
    "resize": lambda i, r, _: alter.resize(i, r.uniform(0.2, 0.9)),
    "stretch": lambda i, r, _: alter.stretch(i, r.uniform(0.75, 1.33)),
    "crop": lambda i, r, _: alter.crop(i, r.uniform(0.04, 0.2), r),
    "crop more": lambda i, r, _: alter.crop(i, r.uniform(0.18, 0.35), r),
    "flip": lambda i, *_: alter.flip(i),
    "rotate": lambda i, r, _: alter.rotate(i, r.uniform(-7, 7), fill=_shade(r)),
    "border": lambda i, r, _: alter.border(i, r.uniform(0.01, 0.12), _shade(r)),
    "letterbox": lambda i, r, _: alter.letterbox(i, r.uniform(0.05, 0.3), _shade(r)),
    "screenshot": lambda i, r, _: alter.screenshot(i, dark=r.random() < 0.5, lines=r.randint(1, 4), rng=r),
    "grey": lambda i, *_: alter.grey(i),
    "saturation": lambda i, r, _: alter.saturation(i, r.uniform(0.2, 2.0)),
    "tint": lambda i, r, _: alter.tint(i, _colour(r), r.uniform(0.3, 0.9)),
    "brightness": lambda i, r, _: alter.brightness(i, r.uniform(0.55, 1.5)),
    "contrast": lambda i, r, _: alter.contrast(i, r.uniform(0.6, 1.7)),
    "gamma": lambda i, r, _: alter.gamma(i, r.uniform(0.6, 1.6)),
    "smooth": lambda i, r, _: alter.smooth(i, r.uniform(0.002, 0.01)),
    "sharpen": lambda i, r, _: alter.sharpen(i, r.randint(80, 250)),
    "pixelate": lambda i, r, _: alter.pixelate(i, r.uniform(0.15, 0.4)),
    "noise": lambda i, r, _: alter.noise(i, r.uniform(5, 22), r),
    "watermark": lambda i, r, _: alter.watermark(i, _text(r), r.uniform(0.05, 0.16), r.uniform(0.3, 1.0), r),
    "sticker": lambda i, r, _: alter.sticker(i, r.uniform(0.15, 0.35), _colour(r), r),
}
_VARIED_HARD: Final[dict[str, Alteration]] = {
    "crop much": lambda i, r, _: alter.crop(i, r.uniform(0.35, 0.6), r),
    "upside down": lambda i, *_: distort.upside_down(i),
    "quarter turn": lambda i, r, _: distort.quarter_turn(i, r.randint(1, 3)),
    "tilt": lambda i, r, _: distort.tilt(i, r.choice((-1, 1)) * r.uniform(8, 26), _shade(r)),
    "rotate and crop": lambda i, r, _: distort.rotate_and_crop(i, r.choice((-1, 1)) * r.uniform(4, 24)),
    "perspective": lambda i, r, _: distort.perspective(i, r.uniform(0.08, 0.28), r, fill=_shade(r)),
    "shear": lambda i, r, _: distort.shear(i, r.choice((-1, 1)) * r.uniform(0.08, 0.28), _shade(r)),
    "print and scan": lambda i, r, _: distort.print_and_scan(i, r),
    "oil": lambda i, r, _: distort.oil(i, r.uniform(0.01, 0.022)),
    "vignette": lambda i, r, _: distort.vignette(i, r.uniform(0.4, 0.95)),
    "hue": lambda i, r, _: distort.hue(i, r.uniform(-0.5, 0.5)),
    "channels": lambda i, r, _: distort.shuffle_channels(
        i, r.choice(((2, 0, 1), (1, 2, 0), (2, 1, 0), (0, 2, 1), (1, 0, 2)))
    ),
    "posterise": lambda i, r, _: distort.posterise(i, r.randint(1, 3)),
    "solarise": lambda i, r, _: distort.solarise(i, r.randint(96, 200)),
    "invert": lambda i, *_: distort.invert(i),
    "blur strong": lambda i, r, _: alter.smooth(i, r.uniform(0.01, 0.022)),
    "pixelate strong": lambda i, r, _: alter.pixelate(i, r.uniform(0.06, 0.14)),
    "noise strong": lambda i, r, _: alter.noise(i, r.uniform(22, 55), r),
    "re-encode strong": lambda i, r, _: alter.recompress(i, r.randint(5, 20)),
    "blurred padding": lambda i, r, _: compose.blurred_padding(i, r.choice((0.5625, 0.8, 1.0, 1.0, 1.78))),
    "ornament": lambda i, r, _: compose.ornament(i, r.uniform(0.04, 0.12), r),
    "social post": lambda i, r, _: compose.social_post(i, dark=r.random() < 0.5, rng=r),
    "phone": lambda i, r, _: compose.phone(i, dark=r.random() < 0.6, rng=r),
    "meme": lambda i, r, _: compose.meme(i, r),
    "caption": lambda i, r, _: compose.caption_bar(i, r, dark=r.random() < 0.4),
    "stickers": lambda i, r, _: compose.stickers(i, r.uniform(0.15, 0.3), r.randint(2, 6), r),
    "sticker large": lambda i, r, _: compose.stickers(i, r.uniform(0.35, 0.55), 1, r),
    "stripes": lambda i, r, _: compose.stripes(i, r.randint(2, 8), r.uniform(0.5, 1.0), r),
    "blend": lambda i, r, others: compose.blend(i, r.uniform(0.15, 0.45), r, others),
    "inset": lambda i, r, others: compose.inset(i, r.uniform(0.3, 0.75), r, others),
    "collage": lambda i, r, others: compose.collage(i, r.choice(("pair", "stack", "grid")), r, others),
}
_MILD: Final = ("crop", "flip", "brightness", "contrast", "saturation", "resize", "watermark", "border", "grey")
_ROUGH: Final = ("crop more", "quarter turn", "tilt", "social post", "stickers", "inset", "re-encode strong", "meme")
_HARD_SHARE: Final = 0.45


def varied_edit(rng: Random) -> Edit:
    """An edit with random parameters. Somewhat fewer than half are of the harder kind; three times out of ten a second
    alteration follows, and after a harder one this may be another harder one."""
    hard = rng.random() < _HARD_SHARE
    kinds = _VARIED_HARD if hard else _VARIED
    name = rng.choice(tuple(kinds))
    altered = kinds[name]
    if rng.random() < 0.3:
        other = rng.choice(_ROUGH if hard and rng.random() < 0.4 else _MILD)
        altered = chain(altered, (_VARIED | _VARIED_HARD)[other])
        name = f"{name} + {other}"
    written: Format = rng.choice(("jpeg", "jpeg", "jpeg", "webp"))
    return Edit(name, name, altered, written, rng.randint(25, 95), "hard" if hard else "easy")


def _shade(rng: Random) -> alter.Colour:
    level = rng.choice((0, 0, 20, 128, 240, 255, 255))
    return (level, level, level)


def _colour(rng: Random) -> alter.Colour:
    return (rng.randint(60, 255), rng.randint(60, 255), rng.randint(60, 255))


def _text(rng: Random) -> str:
    return rng.choice(("© example.org", "SAMPLE", "photo by anna", "BREAKING NEWS", "2026-05-01 12:00", "lol"))
