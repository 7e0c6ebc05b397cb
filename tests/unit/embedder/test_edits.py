"""The edits of the demo and of training, and the photos they are made of."""

import json
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from neardup.demo.corpus import sample_photos
from neardup.edits.named import EDITS, Edit, varied_edit
from neardup.embedder.decode import decode
from neardup.errors import InvalidImageError

PHOTO = sample_photos()[0]


def test_names_are_unique_and_there_are_enough() -> None:
    assert len({edit.name for edit in EDITS}) == len(EDITS) >= 20


@pytest.mark.parametrize("edit", EDITS, ids=[edit.name for edit in EDITS])
def test_an_edit_changes_the_file_in_the_same_way_every_time(edit: Edit) -> None:
    data = PHOTO.read_bytes()
    suffix, changed = edit.apply(data, PHOTO.name)
    assert changed != data
    assert edit.apply(data, PHOTO.name) == (suffix, changed)
    with Image.open(BytesIO(changed)) as image:
        assert image.format == {".jpg": "JPEG", ".webp": "WEBP", ".png": "PNG"}[suffix]
        assert min(image.size) >= 40


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
    for edit in EDITS:
        decode(edit.apply(stream.getvalue(), "small.png")[1])


def test_an_edit_of_no_image_says_so() -> None:
    with pytest.raises(InvalidImageError):
        EDITS[0].apply(b"nothing", "x.jpg")


def test_varied_edits_vary_and_repeat() -> None:
    image = decode(PHOTO.read_bytes())
    first = [varied_edit(rng).apply_to(image, rng)[1] for rng in [Random(1)] for _ in range(30)]
    again = [varied_edit(rng).apply_to(image, rng)[1] for rng in [Random(1)] for _ in range(30)]
    assert first == again
    assert len(set(first)) > 25


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
