"""Frames are cut off, skies are not."""

from random import Random

import numpy as np
import pytest
from PIL import Image, ImageOps

from neardup.demo.corpus import sample_photos
from neardup.edits import alter, compose
from neardup.embedder.trim import content_box, trim


def texture(width: int = 240, height: int = 160) -> Image.Image:
    noise = np.random.default_rng(1).integers(60, 200, (height, width, 3))
    return Image.fromarray(noise.astype(np.uint8))


def near(box: tuple[int, int, int, int], wanted: tuple[int, int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip(box, wanted, strict=True)) <= 4


def test_without_a_frame_nothing_is_cut() -> None:
    assert trim(texture()).size == (240, 160)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (20, 200, 90)])
def test_border_and_letterbox(colour: tuple[int, int, int]) -> None:
    assert near(content_box(alter.border(texture(), 0.1, colour)), (24, 24, 264, 184))
    assert near(content_box(alter.letterbox(texture(), 0.25, colour)), (0, 40, 240, 200))


@pytest.mark.parametrize("dark", [True, False])
def test_screenshot(dark: bool) -> None:
    framed = alter.screenshot(texture(), dark=dark, lines=2, rng=Random(3))
    assert near(content_box(framed), (0, 45, 240, 205))


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_posts_and_telephones(dark: bool, seed: int) -> None:
    for framed in (
        compose.social_post(texture(), dark=dark, rng=Random(seed)),
        compose.phone(texture(), dark=dark, rng=Random(seed)),
    ):
        left, upper, right, lower = content_box(framed)
        # A working pixel is up to three.
        assert abs(right - left - 240) <= 6
        assert abs(lower - upper - 160) <= 6


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("height", [120, 160, 270])
def test_wide_pictures_on_a_telephone(dark: bool, height: int) -> None:
    box = content_box(compose.phone(texture(480, height), dark=dark, rng=Random(1)))
    assert box[0] == 0
    assert box[2] == 480
    # A working pixel is up to six.
    assert abs(box[3] - box[1] - height) <= 12


def test_a_figure_on_a_ground_stays() -> None:
    ground = Image.new("RGB", (240, 240), (255, 255, 255))
    ground.paste(texture(100, 40), (70, 100))
    assert trim(ground).size == ground.size


def test_a_plain_bar_of_the_picture_stays_on_the_ground_of_a_telephone() -> None:
    picture = ImageOps.expand(texture(), (0, 30, 0, 0), (190, 190, 190))
    _, upper, _, lower = content_box(compose.phone(picture, dark=True, rng=Random(0)))
    assert abs(lower - upper - 190) <= 6


def test_stripes_are_no_picture_on_a_ground() -> None:
    flag = Image.new("RGB", (240, 150), (200, 20, 40))
    flag.paste((255, 255, 255), (0, 50, 240, 100))
    assert trim(flag).size == flag.size


@pytest.mark.parametrize("colour", [(120, 180, 240), (255, 255, 255), (0, 0, 0)])
def test_a_plain_picture_stays_whole(colour: tuple[int, int, int]) -> None:
    assert trim(Image.new("RGB", (120, 90), colour)).size == (120, 90)


def test_a_sky_stays() -> None:
    rows, columns = np.mgrid[0:160, 0:240]
    skyline = 80 + 30 * np.sin(columns / 20)
    pixels = np.where((rows < skyline)[..., None], (120, 180, 240), np.asarray(texture()))
    assert trim(Image.fromarray(pixels.astype(np.uint8))).size == (240, 160)


def test_photos_stay_whole_and_their_letterboxes_go() -> None:
    photos = [Image.open(path).convert("RGB") for path in sample_photos()]
    whole = [content_box(photo) == (0, 0, *photo.size) for photo in photos]
    assert np.mean(whole) > 0.9
    boxed = [content_box(alter.letterbox(photo, 0.2)) for photo in photos if photo.width >= photo.height]
    heights = [photo.height for photo in photos if photo.width >= photo.height]
    right = [abs((box[3] - box[1]) / height - 1) < 0.05 for box, height in zip(boxed, heights, strict=True)]
    assert np.mean(right) > 0.85


@pytest.mark.parametrize("size", [(8, 8), (8, 900), (900, 8), (193, 191)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    left, upper, right, lower = content_box(texture(*size))
    assert 0 <= left < right <= size[0]
    assert 0 <= upper < lower <= size[1]
