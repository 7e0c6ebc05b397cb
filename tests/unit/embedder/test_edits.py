"""The edits of the demo and of training, and the photos they are made of."""

import json
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from neardup.demo.corpus import sample_photos
from neardup.edits import compose, distort
from neardup.edits.backdrops import DRAWN, DrawnBackdrops, PictureBackdrops
from neardup.edits.edit import DIFFICULTIES
from neardup.edits.named import EDITS, HARD_EDITS, Edit, varied_edit
from neardup.embedder.decode import decode
from neardup.errors import InvalidImageError

PHOTO = sample_photos()[0]
ALL = (*EDITS, *HARD_EDITS)
WITH_OTHERS = {"blend", "inset", "collage"}


class Plain:
    """Backdrops of one colour."""

    def picture(self, _: Random, size: tuple[int, int]) -> Image.Image:
        return Image.new("RGB", size, "blue")


def test_names_are_unique_and_there_are_enough() -> None:
    assert len(EDITS) == 29
    assert len(HARD_EDITS) >= 45
    assert len({edit.name for edit in ALL}) == len(ALL)


def test_the_harder_edits_are_of_every_difficulty() -> None:
    assert {edit.difficulty for edit in HARD_EDITS} == set(DIFFICULTIES)
    assert {edit.difficulty for edit in EDITS} == {"easy", "medium"}


@pytest.mark.parametrize("edit", ALL, ids=[edit.name for edit in ALL])
def test_an_edit_changes_the_file_in_the_same_way_every_time(edit: Edit) -> None:
    data = PHOTO.read_bytes()
    suffix, changed = edit.apply(data, PHOTO.name)
    assert changed != data
    assert edit.apply(data, PHOTO.name) == (suffix, changed)
    with Image.open(BytesIO(changed)) as image:
        assert image.format == {".jpg": "JPEG", ".webp": "WEBP", ".png": "PNG"}[suffix]
        assert min(image.size) >= 40


@pytest.mark.parametrize("edit", ALL, ids=[edit.name for edit in ALL])
def test_just_the_edits_that_show_other_pictures_depend_on_them(edit: Edit) -> None:
    data = PHOTO.read_bytes()
    drawn, photographed = (edit.apply(data, "a.jpg", others)[1] for others in (DRAWN, PictureBackdrops([PHOTO])))
    assert (drawn != photographed) == (edit.family in WITH_OTHERS or "inset" in edit.name)


@pytest.mark.parametrize("backdrops", [DRAWN, PictureBackdrops(sample_photos()[:5])], ids=["drawn", "pictures"])
def test_a_backdrop_has_the_wanted_size_and_repeats(backdrops: DrawnBackdrops | PictureBackdrops) -> None:
    first, again, other = (backdrops.picture(Random(seed), (90, 40)) for seed in (1, 1, 2))
    assert first.size == (90, 40)
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_backdrops_need_pictures() -> None:
    with pytest.raises(ValueError, match="no files"):
        PictureBackdrops([])


def test_an_inset_takes_its_share_of_the_sides() -> None:
    image = compose.inset(Image.new("RGB", (100, 80), "red"), 0.5, Random(0), Plain())
    red = np.asarray(image)[..., 0] > 128
    assert red.sum() == 100 * 80
    assert 0.43 <= 100 / image.width <= 0.5


def test_turning_four_times_is_nothing_and_a_tilt_cuts_nothing_off() -> None:
    image = decode(PHOTO.read_bytes())
    turned = distort.quarter_turn(distort.quarter_turn(image, 1), 3)
    assert turned.tobytes() == image.tobytes()
    white = Image.new("RGB", (120, 60), "white")
    assert abs(int((np.asarray(distort.tilt(white, 20, (0, 0, 0)))[..., 0] > 127).sum()) - 120 * 60) < 300


@pytest.mark.parametrize("degrees", [8, -20])
def test_what_is_rotated_and_cropped_shows_no_corner(degrees: float) -> None:
    white = Image.new("RGB", (200, 130), "white")
    changed = distort.rotate_and_crop(white, degrees)
    assert np.asarray(changed)[2:-2, 2:-2].min() > 250
    assert changed.width / changed.height == pytest.approx(200 / 130, rel=0.05)


@pytest.mark.parametrize("name", ["crop-20", "noise", "sticker", "watermark"])
def test_what_looks_random_depends_on_the_file_name(name: str) -> None:
    edit = next(edit for edit in EDITS if edit.name == name)
    data = PHOTO.read_bytes()
    assert edit.apply(data, "a.jpg")[1] != edit.apply(data, "b.jpg")[1]


@pytest.mark.parametrize("size", [(24, 24), (16, 200), (200, 16)])
def test_every_edit_takes_small_and_odd_pictures(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    for edit in ALL:
        decode(edit.apply(stream.getvalue(), "small.png")[1])


def test_an_edit_of_no_image_says_so() -> None:
    with pytest.raises(InvalidImageError):
        EDITS[0].apply(b"nothing", "x.jpg")


def test_varied_edits_vary_and_repeat() -> None:
    image = decode(PHOTO.read_bytes())
    first = [varied_edit(rng).apply_to(image, rng)[1] for rng in [Random(1)] for _ in range(80)]
    again = [varied_edit(rng).apply_to(image, rng)[1] for rng in [Random(1)] for _ in range(80)]
    assert first == again
    assert len(set(first)) > 75


def test_varied_edits_are_of_both_kinds() -> None:
    rng = Random(2)
    drawn = [varied_edit(rng) for _ in range(3000)]
    assert 0.4 < sum(edit.difficulty == "hard" for edit in drawn) / len(drawn) < 0.5
    names = {edit.name.split(" + ")[0] for edit in drawn}
    assert {"upside down", "quarter turn", "inset", "collage", "social post", "print and scan", "blend"} < names
    assert {"crop", "flip", "screenshot", "sticker"} < names


def test_every_photo_has_its_licence_and_notice() -> None:
    manifest = json.loads(PHOTO.with_name("manifest.json").read_text())
    entries = {entry["file"]: entry for entry in manifest}
    assert set(entries) == {photo.name for photo in sample_photos()}
    notice = (Path(__file__).parents[3] / "NOTICE").read_text()
    for name, entry in entries.items():
        assert entry["licence"].startswith(("CC-BY", "CC0", "Public domain"))
        assert f"{name}: {entry['author']}" in notice


def test_enough_photos_and_not_too_many_bytes() -> None:
    assert len(sample_photos()) >= 60
    assert sum(path.stat().st_size for path in sample_photos()) <= 3_000_000
