"""The harder fixed edits, in the families of the Image Similarity Challenge (Douze et al., 2021), by difficulty.

Easy is what every upload may suffer; extreme is where most of the picture is gone or most of the file is not it.
"""

from typing import Final

from neardup.edits import alter, compose, distort
from neardup.edits.edit import Alteration, Edit, chain, unchanged

__all__ = ["HARD_EDITS"]

_GREY_CORNERS: Final = (128, 128, 128)
_BLACK: Final = (0, 0, 0)
_WHITE: Final = (255, 255, 255)


def _crop(amount: float) -> Alteration:
    return lambda i, r, _: alter.crop(i, amount, r)


def _inset(amount: float) -> Alteration:
    return lambda i, r, others: compose.inset(i, amount, r, others)


def _flip() -> Alteration:
    return lambda i, *_: alter.flip(i)


def _jpeg_again(quality: int) -> Alteration:
    return lambda i, *_: alter.recompress(i, quality)


HARD_EDITS: Final[tuple[Edit, ...]] = (
    Edit("webp-q25", "re-encode", unchanged, "webp", 25),
    Edit("re-encode-q10", "re-encode", unchanged, quality=10, difficulty="medium"),
    Edit("twice-q10", "re-encode", chain(lambda i, *_: alter.resize(i, 0.6), _jpeg_again(10)), "webp", 20, "hard"),
    Edit("resize-15", "resize", lambda i, *_: alter.resize(i, 0.15), difficulty="medium"),
    Edit("aspect-150", "resize", lambda i, *_: alter.stretch(i, 1.5), difficulty="medium"),
    Edit("aspect-67", "resize", lambda i, *_: alter.stretch(i, 0.67), difficulty="medium"),
    Edit("hue-mild", "colour", lambda i, *_: distort.hue(i, 0.05)),
    Edit(
        "darker-grey", "colour", chain(lambda i, *_: alter.grey(i), lambda i, *_: alter.brightness(i, 0.6)), quality=70
    ),
    Edit("hue-half", "colour", lambda i, *_: distort.hue(i, 0.45), difficulty="hard"),
    Edit("channels", "colour", lambda i, *_: distort.shuffle_channels(i, (2, 0, 1)), difficulty="hard"),
    Edit("posterise", "colour", lambda i, *_: distort.posterise(i, 2), difficulty="medium"),
    Edit("solarise", "colour", lambda i, *_: distort.solarise(i, 128), difficulty="hard"),
    Edit("invert", "colour", lambda i, *_: distort.invert(i), difficulty="extreme"),
    Edit("vignette", "light", lambda i, *_: distort.vignette(i, 0.8)),
    Edit("brightness-180", "light", lambda i, *_: alter.brightness(i, 1.8), difficulty="medium"),
    Edit("contrast-faded", "light", lambda i, *_: alter.contrast(i, 0.4), difficulty="medium"),
    Edit("blur-strong", "detail", lambda i, *_: alter.smooth(i, 0.018), difficulty="medium"),
    Edit("pixelate-strong", "detail", lambda i, *_: alter.pixelate(i, 0.08), difficulty="hard"),
    Edit("noise-strong", "detail", lambda i, r, _: alter.noise(i, 45, r), difficulty="medium"),
    Edit("oil", "detail", lambda i, *_: distort.oil(i, 0.016), difficulty="medium"),
    Edit("flip-vertical", "flip", lambda i, *_: distort.upside_down(i), difficulty="medium"),
    Edit("turn-90", "turn", lambda i, *_: distort.quarter_turn(i, 1), difficulty="medium"),
    Edit("turn-180", "turn", lambda i, *_: distort.quarter_turn(i, 2), difficulty="medium"),
    Edit("turn-270", "turn", lambda i, *_: distort.quarter_turn(i, 3), difficulty="medium"),
    Edit("rotate-12", "rotate", lambda i, *_: distort.tilt(i, 12, _WHITE), difficulty="medium"),
    Edit("rotate-25", "rotate", lambda i, *_: distort.tilt(i, -25, _GREY_CORNERS), difficulty="hard"),
    Edit("rotate-20-crop", "rotate", lambda i, *_: distort.rotate_and_crop(i, 20), difficulty="hard"),
    Edit("crop-40", "crop", _crop(0.4), difficulty="hard"),
    Edit("crop-50", "crop", _crop(0.5), difficulty="hard"),
    Edit("crop-60", "crop", _crop(0.6), difficulty="extreme"),
    Edit("perspective", "warp", lambda i, r, _: distort.perspective(i, 0.15, r), difficulty="medium"),
    Edit("perspective-strong", "warp", lambda i, r, _: distort.perspective(i, 0.28, r, fill=_BLACK), difficulty="hard"),
    Edit("shear", "warp", lambda i, *_: distort.shear(i, 0.22, _BLACK), difficulty="medium"),
    Edit("print-scan", "print", lambda i, r, _: distort.print_and_scan(i, r), difficulty="hard"),
    Edit("blurred-padding", "frame", lambda i, *_: compose.blurred_padding(i, 1.0), difficulty="medium"),
    Edit("blurred-padding-tall", "frame", lambda i, *_: compose.blurred_padding(i, 0.5625), difficulty="hard"),
    Edit("ornament", "frame", lambda i, r, _: compose.ornament(i, 0.09, r), difficulty="medium"),
    Edit("social-white", "screenshot", lambda i, r, _: compose.social_post(i, dark=False, rng=r), "png", 88, "medium"),
    Edit("social-dark", "screenshot", lambda i, r, _: compose.social_post(i, dark=True, rng=r), "jpeg", 80, "medium"),
    Edit("phone-dark", "screenshot", lambda i, r, _: compose.phone(i, dark=True, rng=r), "png", 88, "medium"),
    Edit("phone-white", "screenshot", lambda i, r, _: compose.phone(i, dark=False, rng=r), "png", 88, "medium"),
    Edit(
        "screenshot-dark",
        "screenshot",
        lambda i, r, _: alter.screenshot(i, dark=True, lines=5, rng=r),
        difficulty="medium",
    ),
    Edit("meme", "overlay", lambda i, r, _: compose.meme(i, r), difficulty="medium"),
    Edit("caption-dark", "overlay", lambda i, r, _: compose.caption_bar(i, r, dark=True)),
    Edit("stickers", "overlay", lambda i, r, _: compose.stickers(i, 0.22, 5, r), difficulty="medium"),
    Edit("sticker-large", "overlay", lambda i, r, _: compose.stickers(i, 0.5, 1, r), difficulty="hard"),
    Edit("stripes", "overlay", lambda i, r, _: compose.stripes(i, 6, 0.8, r), difficulty="medium"),
    Edit("blend-30", "blend", lambda i, r, others: compose.blend(i, 0.3, r, others), difficulty="hard"),
    Edit("blend-45", "blend", lambda i, r, others: compose.blend(i, 0.45, r, others), difficulty="extreme"),
    Edit("inset-60", "inset", _inset(0.6), difficulty="hard"),
    Edit("inset-45", "inset", _inset(0.45), difficulty="hard"),
    Edit("inset-30", "inset", _inset(0.3), difficulty="extreme"),
    Edit("pair", "collage", lambda i, r, others: compose.collage(i, "pair", r, others), difficulty="hard"),
    Edit("stack", "collage", lambda i, r, others: compose.collage(i, "stack", r, others), difficulty="hard"),
    Edit("grid", "collage", lambda i, r, others: compose.collage(i, "grid", r, others), difficulty="extreme"),
    Edit(
        "crop-30-flip-saturated",
        "combined",
        chain(_crop(0.3), _flip(), lambda i, *_: alter.saturation(i, 1.9)),
        difficulty="hard",
    ),
    Edit(
        "screenshot-of-crop",
        "combined",
        chain(_crop(0.25), lambda i, r, _: alter.screenshot(i, dark=False, lines=3, rng=r)),
        difficulty="hard",
    ),
    Edit(
        "stickers-tilted",
        "combined",
        chain(
            lambda i, r, _: compose.stickers(i, 0.25, 3, r),
            lambda i, *_: distort.tilt(i, 14, _WHITE),
        ),
        difficulty="hard",
    ),
    Edit(
        "meme-turned",
        "combined",
        chain(lambda i, r, _: compose.meme(i, r), lambda i, *_: distort.quarter_turn(i, 1)),
        quality=60,
        difficulty="hard",
    ),
    Edit("inset-recompressed", "combined", chain(_inset(0.4), _jpeg_again(20)), "webp", 40, "extreme"),
    Edit(
        "post-of-grey-crop",
        "combined",
        chain(_crop(0.35), lambda i, *_: alter.grey(i), lambda i, r, _: compose.social_post(i, dark=True, rng=r)),
        quality=60,
        difficulty="extreme",
    ),
    Edit(
        "crop-40-turned-tinted",
        "combined",
        chain(_crop(0.4), lambda i, *_: distort.tilt(i, -10, _BLACK), lambda i, *_: distort.hue(i, 0.12)),
        quality=50,
        difficulty="extreme",
    ),
)
"""The fixed harder edits; no name of `EDITS` is among theirs."""
