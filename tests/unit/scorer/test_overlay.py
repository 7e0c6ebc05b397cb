"""A copy agrees with its original where one is laid on the other; what shares a frame alone does not."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from neardup.demo.corpus import sample_photos
from neardup.embedder.thumbnail import THUMBNAIL, thumbnail
from neardup.embedder.whitening import shipped_whitening
from neardup.points.describe import describe
from neardup.points.packing import POINTS
from neardup.types import Vector
from scorer.geometry import geometry
from scorer.ops import NUMPY
from scorer.overlay import NUMBERS, laid, overlay

Alter = Callable[[Image.Image], Image.Image]


def photos(count: int) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in sample_photos()[:count]]


def compared(mine: list[Image.Image], theirs: list[Image.Image], *, points: bool = True, way: float = 1.0) -> Vector:
    """What is said, (n, len(NUMBERS)). Without `points`, whole pictures are laid on each other."""

    def packed(pictures: list[Image.Image]) -> Vector:
        described = shipped_whitening().axes.points(np.stack([describe(picture) for picture in pictures]))
        return described if points else np.zeros((len(pictures), POINTS), np.float32)

    _, found = geometry(NUMPY, packed(mine), packed(theirs))
    small, other = (np.stack([thumbnail(picture) for picture in pictures]) for pictures in (mine, theirs))
    lay = laid(NUMPY, found, np.full((len(mine), 1), way, np.float32))
    numbers: Vector = overlay(NUMPY, small, other, lay)
    return numbers


def share(numbers: Vector) -> Vector:
    return numbers[:, NUMBERS.index("alike")] / (numbers[:, NUMBERS.index("compared")] + 1)


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 6, height // 8, width, height * 7 // 8))


@pytest.mark.parametrize(
    "alter",
    [cropped, ImageOps.mirror, ImageOps.equalize, lambda image: image.rotate(-90, expand=True)],
    ids=["crop", "mirror", "equalize", "turn"],
)
def test_a_copy_is_alike_where_it_is_laid(alter: Alter) -> None:
    originals = photos(6)
    copies = [alter(image) for image in originals]
    numbers = compared(copies, originals)
    assert (share(numbers) > 0.6).all()
    assert (numbers[:, 0] >= 10).all()
    # Cells of the copy that the original does not show cannot be compared, and the other way round.
    assert (share(compared(originals, copies)) > 0.6).all()


def test_without_points_the_whole_is_laid_on_the_whole() -> None:
    originals = photos(6)
    stretched = [ImageOps.mirror(image.resize((400, 300))) for image in originals]
    assert (share(compared(stretched, originals, points=False, way=-1.0)) > 0.6).all()
    assert (share(compared(stretched, originals, points=False, way=1.0)) < 0.4).all()


def test_other_pictures_are_not_alike() -> None:
    pictures = photos(8)
    for step in range(1, 8):
        assert share(compared(pictures, pictures[step:] + pictures[:step])).max() < 0.5


def test_one_frame_around_other_pictures_is_not_enough() -> None:
    def framed(image: Image.Image) -> Image.Image:
        sheet = Image.new("RGB", (600, 600), "white")
        draw = ImageDraw.Draw(sheet)
        for number in range(24):
            draw.rectangle((25 * number, 4, 25 * number + 9 + number % 7, 24), fill=(40 + 8 * number, 90, 160))
            draw.ellipse((25 * number, 570, 25 * number + 8 + number % 9, 590), fill=(20, 9 * number, 60))
        sheet.paste(image.resize((600, 520)), (0, 40))
        return sheet

    pictures = [framed(image) for image in photos(4)]
    assert share(compared(pictures, pictures[1:] + pictures[:1])).max() < 0.6
    assert share(compared(pictures, [image.resize((300, 300)) for image in pictures])).min() > 0.85


def test_any_numbers_will_do() -> None:
    rng = np.random.default_rng(0)
    wild = rng.normal(0, 1e4, (40, POINTS + THUMBNAIL)).astype(np.float32)
    _, found = geometry(NUMPY, wild[:, :POINTS], wild[::-1, :POINTS])
    numbers = overlay(NUMPY, wild[:, POINTS:], wild[::-1, POINTS:], laid(NUMPY, found, np.ones((40, 1), np.float32)))
    assert np.isfinite(numbers).all()
    nothing = np.zeros((2, THUMBNAIL), np.float32)
    _, found = geometry(NUMPY, np.zeros((2, POINTS), np.float32), np.zeros((2, POINTS), np.float32))
    assert not overlay(NUMPY, nothing, nothing, laid(NUMPY, found, np.ones((2, 1), np.float32))).any()
