"""Points of a picture are found again in its mirror image and survive packing."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageOps

from neardup.demo.corpus import sample_photos
from neardup.points.axes import Axes
from neardup.points.blur import blurred
from neardup.points.corners import corners
from neardup.points.describe import COUNT, describe, unfolded
from neardup.points.packing import BITS, EVEN, POINT, POINTS, SIGN_NUMBERS, UNPACKED, numbers_for, pack
from neardup.types import Vector

_LONG_SIDE = 256


def opened(number: int) -> Image.Image:
    """As large as points are looked for, so a mirror image is one to the pixel."""
    image = Image.open(sample_photos()[number]).convert("RGB")
    scale = _LONG_SIDE / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)))


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [opened(number) for number in (0, 1, 2, 3, 7, 10)]


@pytest.fixture(scope="module")
def axes(pictures: list[Image.Image]) -> Axes:
    return Axes.learn(np.stack([describe(picture) for picture in pictures]))


def packed(axes: Axes, picture: Image.Image) -> Vector:
    (points,) = axes.points(describe(picture)[None])
    return np.asarray(points)


def words(axes: Axes, picture: Image.Image) -> set[tuple[float, float]]:
    numbers = axes.words(describe(picture)[None]).reshape(COUNT, -1)
    return {(first, second) for first, second in numbers.tolist() if first}


def signs(points: Vector) -> dict[tuple[int, int], npt.NDArray[np.int64]]:
    """Place -> the signs of the point there, 0 or 1."""
    whole = points.reshape(-1, POINT).astype(np.int64)
    bits = whole[:, 3:, None] >> np.arange(BITS) & 1
    return {
        (x, y): own
        for (x, y), own in zip(whole[:, :2].tolist(), bits.reshape(-1, SIGN_NUMBERS * BITS), strict=True)
        if x or y
    }


def test_a_mirror_image_leaves_the_even_signs_and_negates_the_odd(pictures: list[Image.Image], axes: Axes) -> None:
    even, odd = [], []
    for picture in pictures:
        straight, mirrored = signs(packed(axes, picture)), signs(packed(axes, ImageOps.mirror(picture)))
        for (x, y), own in straight.items():
            other = mirrored.get((picture.width - 1 - x, y))
            if other is not None:
                even.append(own[:EVEN] == other[:EVEN])
                odd.append(own[EVEN:] != other[EVEN:])
    assert len(even) > 50
    assert np.mean(even) > 0.95
    assert np.mean(odd) > 0.95


def test_a_mirror_image_has_the_same_words(pictures: list[Image.Image], axes: Axes) -> None:
    for number, picture in enumerate(pictures):
        own, other = words(axes, picture), words(axes, pictures[number - 1])
        assert len(own & words(axes, ImageOps.mirror(picture))) > len(own) / 3
        assert len(own & other) < 3


def test_a_word_that_several_pictures_have_is_none(pictures: list[Image.Image]) -> None:
    twice = Axes.learn(np.stack([describe(picture) for picture in (*pictures, pictures[0])]))
    assert len(twice.stopped) >= COUNT / 2
    assert (np.diff(twice.stopped.astype(np.int64)) > 0).all()
    assert not words(twice, pictures[0])
    assert all(words(twice, picture) for picture in pictures[1:])
    assert packed(twice, pictures[0]).any(), "points count all the same"


def test_numbers_are_whole_and_float16_keeps_them(pictures: list[Image.Image], axes: Axes) -> None:
    described = np.stack([describe(picture) for picture in pictures])
    points, in_words = axes.points(described), axes.words(described)
    assert (points.shape, in_words.shape) == ((len(pictures), POINTS), (len(pictures), 2 * COUNT))
    for numbers, most in ((points, 2047), (in_words, 2048)):
        assert numbers.any(axis=1).all()
        assert (numbers.astype(np.float16) == numbers).all()
        assert ((numbers == np.rint(numbers)) & (numbers >= 0) & (numbers <= most)).all()


def test_a_flat_picture_has_no_points(axes: Axes) -> None:
    flat = Image.new("RGB", (300, 200), (120, 180, 240))
    assert not packed(axes, flat).any()
    assert not words(axes, flat)


def test_a_drawing_is_described_at_its_corners(monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = [(20, 90), (90, 40), (90, 70), (150, 70), (150, 110), (90, 110), (90, 140)]
    flag = [(190, 30), (240, 45), (190, 75)]
    drawing = Image.new("L", (256, 180), 250)
    for shape in (arrow, flag):
        ImageDraw.Draw(drawing).polygon(shape, fill=60)
    x, y, strength = corners(blurred(np.asarray(drawing, np.float32), (2.0,))[0], 2.0)
    apart = np.stack([np.hypot(x - across, y - down) for across, down in (*arrow, *flag)])
    assert (apart.min(axis=1) < 5).all(), "each is found"
    assert (apart.min(axis=0) < 6).all(), "nothing else is"
    assert (strength > 0).all()

    with_corners = there(drawing)
    monkeypatch.setattr("neardup.points.scale_space.corners", lambda *_: np.zeros((3, 0), np.float32))
    assert there(drawing) < with_corners < COUNT


def there(drawing: Image.Image) -> int:
    """How many points are described."""
    places, _ = unfolded(describe(drawing)[None])
    return int(np.count_nonzero(places[..., 2]))


def test_a_photo_that_has_points_enough_has_no_corners_among_them(
    pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_corners = describe(pictures[0])
    monkeypatch.setattr("neardup.points.scale_space.corners", None)
    np.testing.assert_array_equal(describe(pictures[0]), with_corners)


def test_bits_are_unpacked_as_the_scorer_does() -> None:
    for width in (1, BITS, 66, 255):
        bits = np.random.default_rng(width).random((7, width)) < 0.5
        numbers = pack(bits)
        assert numbers.shape == (7, numbers_for(width))
        np.testing.assert_array_equal(UNPACKED[numbers.astype(np.int64)].reshape(7, -1)[:, :width] > 0, bits)
        assert not UNPACKED[numbers.astype(np.int64) + 2**BITS].any()
