"""Points of a picture are found again in its mirror image and in a crop, and in no other picture."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from PIL import Image, ImageOps

from benchmarks.points.geometry import check
from benchmarks.points.onnx_geometry import to_onnx
from benchmarks.points.packing import BITS, EVEN, POINT, POINTS, WORDS, Projection
from benchmarks.points.points import describe
from neardup.demo.corpus import sample_photos
from neardup.types import Vector

_LONG_SIDE = 256


def opened(number: int) -> Image.Image:
    """As large as points are looked for, so a mirror image is one to the pixel."""
    image = Image.open(sample_photos()[number]).convert("RGB")
    scale = _LONG_SIDE / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)))


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((width // 10, height // 10, width * 17 // 20, height * 9 // 10))


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [opened(number) for number in (0, 1, 2, 3, 7, 10)]


@pytest.fixture(scope="module")
def projection(pictures: list[Image.Image]) -> Projection:
    return Projection.learn(np.concatenate([describe(picture).histograms for picture in pictures]))


def signs(packed: Vector) -> dict[tuple[int, int], npt.NDArray[np.int64]]:
    """Place -> the signs of the point there, 0 or 1."""
    points = packed.reshape(-1, POINT).astype(np.int64)
    bits = points[:, 3:, None] >> np.arange(BITS) & 1
    return {
        (x, y): own
        for (x, y), own in zip(points[:, :2].tolist(), bits.reshape(-1, WORDS * BITS), strict=True)
        if x or y
    }


def test_a_mirror_image_leaves_the_even_signs_and_negates_the_odd(
    pictures: list[Image.Image], projection: Projection
) -> None:
    even, odd = [], []
    for picture in pictures:
        straight = signs(projection.pack(describe(picture)))
        mirrored = signs(projection.pack(describe(ImageOps.mirror(picture))))
        for (x, y), own in straight.items():
            other = mirrored.get((picture.width - 1 - x, y))
            if other is not None:
                even.append(own[:EVEN] == other[:EVEN])
                odd.append(own[EVEN:] != other[EVEN:])
    assert len(even) > 50
    assert np.mean(even) > 0.95
    assert np.mean(odd) > 0.95


@pytest.mark.parametrize("alter", [cropped, ImageOps.mirror, lambda image: image.rotate(90, expand=True)])
def test_a_copy_keeps_points_in_the_same_arrangement(
    alter: Callable[[Image.Image], Image.Image], pictures: list[Image.Image], projection: Projection
) -> None:
    for picture in pictures:
        own, copy = (projection.pack(describe(each)) for each in (picture, alter(picture)))
        inliers, weight, *_ = check(own, copy[None])[0]
        assert inliers > 10
        assert weight > 10 * inliers


def test_unrelated_pictures_share_no_arrangement(pictures: list[Image.Image], projection: Projection) -> None:
    packed = np.stack([projection.pack(describe(picture)) for picture in pictures])
    for number in range(len(packed)):
        assert check(packed[number], np.delete(packed, number, axis=0))[:, 0].max() < 5


def test_numbers_are_whole_and_float16_keeps_them(pictures: list[Image.Image], projection: Projection) -> None:
    packed = np.stack([projection.pack(describe(picture)) for picture in pictures])
    assert packed.shape == (len(pictures), POINTS)
    assert packed.any(axis=1).all()
    assert (packed.astype(np.float16) == packed).all()
    assert ((packed == np.rint(packed)) & (packed >= 0) & (packed < 2048)).all()


def test_a_flat_picture_has_no_points_and_matches_nothing(projection: Projection) -> None:
    flat = projection.pack(describe(Image.new("RGB", (300, 200), (120, 180, 240))))
    assert not flat.any()
    assert not check(flat, flat[None]).any()


def test_the_graph_says_what_numpy_says(pictures: list[Image.Image], projection: Projection) -> None:
    packed = np.stack([projection.pack(describe(picture)) for picture in pictures])
    crops = np.stack([projection.pack(describe(cropped(picture))) for picture in pictures])
    probes, candidates = np.tile(packed, (2, 1)), np.concatenate([crops, np.roll(packed, 1, axis=0)])
    session = onnxruntime.InferenceSession(to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    (numbers,) = session.run(None, {"probe": probes, "candidate": candidates})
    np.testing.assert_allclose(np.asarray(numbers), check(probes, candidates), rtol=1e-3, atol=1e-3)
