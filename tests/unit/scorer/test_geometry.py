"""Points of a copy lie in the same arrangement as those of its original; those of other pictures do not."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from neardup.demo.corpus import sample_photos
from neardup.embedder.whitening import shipped_whitening
from neardup.points.describe import describe
from neardup.points.packing import POINTS
from neardup.types import Vector
from scorer.geometry import NUMBERS, geometry
from scorer.ops import NUMPY


def packed(*pictures: Image.Image) -> Vector:
    return shipped_whitening().axes.points(np.stack([describe(picture) for picture in pictures]))


def check(probes: Vector, candidates: Vector) -> Vector:
    numbers: Vector = geometry(NUMPY, probes, candidates)[0]
    return numbers


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 10, height // 10, width * 17 // 20, height * 9 // 10))


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [Image.open(sample_photos()[number]).convert("RGB") for number in (0, 1, 2, 3, 7, 10)]


@pytest.mark.parametrize("alter", [cropped, ImageOps.mirror, lambda image: image.rotate(90, expand=True)])
def test_a_copy_keeps_points_in_the_same_arrangement(
    alter: Callable[[Image.Image], Image.Image], pictures: list[Image.Image]
) -> None:
    numbers = check(packed(*pictures), packed(*map(alter, pictures)))
    inliers, weight = numbers[:, NUMBERS.index("inliers")], numbers[:, NUMBERS.index("weight")]
    assert (inliers > 10).all()
    assert (weight > 10 * inliers).all()


def test_unrelated_pictures_share_no_arrangement(pictures: list[Image.Image]) -> None:
    points = packed(*pictures)
    for step in range(1, len(points)):
        assert check(points, np.roll(points, step, axis=0))[:, 0].max() < 5


def test_pictures_without_points_match_nothing() -> None:
    none = np.zeros((2, POINTS), np.float32)
    assert not check(none, none).any()
