"""Small pictures that tell what lies where, however light or strong it is."""

import numpy as np
from PIL import Image, ImageEnhance

from neardup.demo.corpus import sample_photos
from neardup.embedder.thumbnail import CELLS, LEVELS, SIDE, THUMBNAIL, thumbnail
from neardup.types import Vector


def cells(packed: Vector) -> Vector:
    rows: Vector = LEVELS[packed[1:].astype(np.int64)].ravel()[:CELLS].reshape(SIDE, SIDE)
    return rows


def photo(number: int) -> Image.Image:
    return Image.open(sample_photos()[number]).convert("RGB")


def test_numbers_that_half_precision_holds() -> None:
    packed = thumbnail(photo(0))
    assert packed.shape == (THUMBNAIL,)
    np.testing.assert_array_equal(packed.astype(np.float16), packed)
    np.testing.assert_array_equal(packed, np.floor(packed))
    assert packed.max() < 2048


def test_the_first_number_tells_the_shape() -> None:
    shapes = [thumbnail(Image.new("L", size, 7))[0] for size in ((640, 320), (1, 900), (50, 50), (900, 1))]
    assert shapes == [31 + 32 * 15, 0 + 32 * 31, 31 + 32 * 31, 31]


def test_light_and_contrast_make_little_difference() -> None:
    for number in range(4):
        # Of a photo that is wide the upper half is full.
        one = cells(thumbnail(photo(number)))[:16].ravel()
        darker = ImageEnhance.Contrast(ImageEnhance.Brightness(photo(number)).enhance(0.7)).enhance(0.7)
        other = cells(thumbnail(darker))[:16].ravel()
        assert np.corrcoef(one, other)[0, 1] > 0.95
        assert abs(np.corrcoef(one, cells(thumbnail(photo(number + 1)))[:16].ravel())[0, 1]) < 0.5


def test_plain_ground_is_nothing() -> None:
    plain = cells(thumbnail(Image.new("L", (400, 400), 90)))
    # The two middle levels lie beside nothing.
    assert np.abs(plain).max() < 0.2
