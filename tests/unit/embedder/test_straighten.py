"""Tilted, sheared and photographed pictures are set upright; photos and things on a plain ground stay."""

from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from neardup.demo.corpus import sample_photos
from neardup.edits.alter import Colour
from neardup.edits.distort import perspective, shear, tilt
from neardup.embedder.straighten import straighten

_GREY = (128, 128, 128)
_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)


def photo(number: int) -> Image.Image:
    image = Image.open(sample_photos()[number]).convert("RGB")
    image.thumbnail((512, 512))
    return image


def white_with_figure(side: int = 240) -> Image.Image:
    """A photo in the middle of white."""
    image = Image.new("RGB", (side, side), _WHITE)
    image.paste(photo(0).resize((110, 110)), (65, 65))
    return image


def unlike(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of small copies, in grey levels."""
    a, b = (np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), np.float32) for image in (one, other))
    return float(np.abs(a - b).mean())


@pytest.mark.parametrize("degrees", [-40, -25, -8, 5, 12, 40])
@pytest.mark.parametrize("fill", [_GREY, _BLACK])
def test_a_turned_picture(degrees: float, fill: Colour) -> None:
    picture = photo(3)
    tilted = tilt(picture, degrees, fill)
    upright = straighten(tilted)
    assert upright.width == pytest.approx(picture.width, rel=0.03)
    assert upright.height == pytest.approx(picture.height, rel=0.03)
    assert unlike(upright, picture) < 5 < unlike(tilted, picture)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("number", [3, 7])
def test_a_picture_seen_from_the_side(seed: int, number: int) -> None:
    picture = photo(number)
    aslant = perspective(picture, 0.28, Random(seed), fill=_BLACK)
    assert unlike(straighten(aslant), picture) < 6 < unlike(aslant, picture)


@pytest.mark.parametrize("amount", [-0.22, 0.22])
def test_a_sheared_picture_has_two_sides_along_the_border(amount: float) -> None:
    picture = photo(3)
    sheared = shear(picture, amount, _BLACK)
    assert unlike(straighten(sheared), picture) < 5 < unlike(sheared, picture)


@pytest.mark.parametrize("degrees", [-25, -8, 5, 12, 40])
def test_a_white_sheet_with_a_figure(degrees: float) -> None:
    picture = white_with_figure()
    assert unlike(straighten(tilt(picture, degrees, _GREY)), picture) < 5


def test_the_noise_of_compression_is_ground() -> None:
    picture = photo(3)
    noisy = tilt(picture, -25, _BLACK)
    pixels = np.asarray(noisy, np.int16) + np.random.default_rng(0).integers(-20, 21, (*noisy.size[::-1], 1))
    assert unlike(straighten(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))), picture) < 6


@pytest.mark.parametrize("number", range(0, 24, 3))
def test_a_photo_stays(number: int) -> None:
    picture = photo(number)
    assert straighten(picture) is picture


@pytest.mark.parametrize("shape", ["ellipse", "star", "upright"])
def test_a_thing_on_plain_ground_stays(shape: str) -> None:
    plain = Image.new("RGB", (256, 256), _GREY)
    draw = ImageDraw.Draw(plain)
    if shape == "ellipse":
        draw.ellipse((40, 40, 216, 216), fill=_WHITE)
    elif shape == "star":
        draw.polygon([(20, 100), (100, 100), (128, 20), (156, 100), (236, 100), (128, 230)], fill=_WHITE)
    else:
        draw.rectangle((40, 60, 216, 196), fill=_WHITE)
    assert straighten(plain) is plain


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (7, 5), (64, 64), (600, 3)])
def test_small_and_plain_pictures_stay(size: tuple[int, int]) -> None:
    plain = Image.new("RGB", size, _GREY)
    assert straighten(plain) is plain


@pytest.mark.parametrize("seed", range(60))
def test_any_quadrilateral_gives_a_picture_of_bounded_size(seed: int) -> None:
    rng = Random(seed)
    size = rng.randint(1, 300), rng.randint(1, 300)
    picture = Image.new("RGB", size, _GREY)
    places = [(rng.uniform(-0.2, 1.2) * size[0], rng.uniform(-0.2, 1.2) * size[1]) for _ in range(4)]
    ImageDraw.Draw(picture).polygon(places, fill=_WHITE)
    upright = straighten(picture)
    assert min(upright.size) >= 1
    assert max(upright.size) <= 2 * max(size)
