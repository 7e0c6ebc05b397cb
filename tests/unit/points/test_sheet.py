"""The sides of a sheet on a plain ground are found, and no points lie on them; a photo keeps its points."""

from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from neardup.demo.corpus import sample_photos
from neardup.edits.distort import perspective, shear, tilt
from neardup.points.blur import Floats
from neardup.points.describe import describe, unfolded
from neardup.points.sheet import Sheet

_GREY = (128, 128, 128)
_BLACK = (0, 0, 0)


def blurred(image: Image.Image) -> Floats:
    return np.asarray(image.convert("L").filter(ImageFilter.GaussianBlur(2)), np.float32)


def photo(number: int) -> Image.Image:
    image = Image.open(sample_photos()[number]).convert("RGB")
    image.thumbnail((256, 256))
    return image


def white_with_figure(side: int = 240) -> Image.Image:
    """A photo in the middle of white."""
    image = Image.new("RGB", (side, side), (255, 255, 255))
    image.paste(photo(0).resize((110, 110)), (65, 65))
    return image


def places(image: Image.Image) -> Floats:
    """In pixels of the picture."""
    places, _ = unfolded(describe(image)[None])
    there = places[places[:, :, 2] > 0]
    found: Floats = there[:, :2] * np.float32(max(image.size) / 256)
    return found


@pytest.mark.parametrize("degrees", [-25, -8, 5, 12, 40])
def test_the_corners_of_a_tilted_white_sheet_are_no_points(degrees: float) -> None:
    tilted = tilt(white_with_figure(), degrees, _BLACK)
    found = places(tilted)
    assert len(found) >= 10
    assert (np.hypot(*(found - np.array(tilted.size) / 2).T) < 90).all()


def test_a_plain_rectangle_on_grey_has_no_points() -> None:
    plain = Image.new("RGB", (256, 200), _GREY)
    ImageDraw.Draw(plain).rectangle((60, 50, 200, 150), fill=(255, 255, 255))
    assert len(places(plain)) == 0


def test_a_light_frame_around_white_has_no_points() -> None:
    framed = Image.new("RGB", (280, 280), (245, 245, 245))
    framed.paste(white_with_figure(), (20, 20))
    assert (np.hypot(*(places(framed) - 140).T) < 90).all()


@pytest.mark.parametrize("number", [0, 3, 7, 10])
def test_a_photo_lies_on_no_sheet(number: int) -> None:
    assert Sheet.find(blurred(photo(number))) is None


@pytest.mark.parametrize(
    "tilted",
    [
        tilt(photo(3), 20, _GREY),
        shear(photo(3), 0.22, _BLACK),
        perspective(photo(3), 0.15, Random(1), fill=(255, 255, 255)),
    ],
)
def test_a_photo_keeps_its_points_when_it_lies_on_a_sheet(tilted: Image.Image) -> None:
    sheet = Sheet.find(blurred(tilted))
    assert sheet is not None
    found = places(tilted)
    assert len(found) == 48
    assert (sheet.depth(*found.T) > 4).all()


def test_sides_along_the_picture_s_border_do_not_count() -> None:
    sheet = Sheet.find(blurred(shear(white_with_figure(), 0.22, _BLACK)))
    assert sheet is not None
    assert len(sheet.start) == 2


def test_a_disc_on_plain_ground_is_no_sheet() -> None:
    plain = Image.new("RGB", (256, 256), _GREY)
    ImageDraw.Draw(plain).ellipse((40, 40, 216, 216), fill=(255, 255, 255))
    assert Sheet.find(blurred(plain)) is None


def test_a_picture_of_one_colour_has_none() -> None:
    assert Sheet.find(np.full((64, 64), 200, np.float32)) is None
