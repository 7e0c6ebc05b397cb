from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from neardup.demo.corpus import ORIGINAL, clear, image_id, make_copies, plan_copies, sample_photos
from neardup.edits.named import EDITS


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.radial_gradient("L").convert("RGB").save(path)
    return path


def test_every_photo_has_its_original_and_as_many_different_edits_as_asked(tmp_path: Path) -> None:
    photos = [Path(f"{name}.jpg") for name in "abc"]
    copies = plan_copies(photos, tmp_path, edits_a_photo=4)
    assert Counter(copy.source for copy in copies) == {"000-a": 5, "001-b": 5, "002-c": 5}
    for start in (0, 5, 10):
        assert copies[start].edit_name == ORIGINAL
        assert len({copy.edit_name for copy in copies[start : start + 5]}) == 5


def test_edits_are_used_about_equally_often(tmp_path: Path) -> None:
    photos = [Path(f"{number}.jpg") for number in range(37)]
    used = Counter(copy.edit_name for copy in plan_copies(photos, tmp_path, edits_a_photo=5) if copy.edit)
    assert len(used) == len(EDITS)
    assert max(used.values()) - min(used.values()) <= 1


def test_never_more_edits_than_there_are(tmp_path: Path) -> None:
    copies = plan_copies([Path("a.jpg")], tmp_path, edits_a_photo=1000)
    assert len({copy.edit_name for copy in copies}) == len(copies) == len(EDITS) + 1


def test_photos_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    copies = plan_copies([Path("x/a.jpg"), Path("y/a.jpg")], tmp_path, edits_a_photo=2)
    assert len({copy.folder for copy in copies}) == len({copy.source for copy in copies}) == 2


def test_copies_are_written_and_always_the_same(tmp_path: Path, photo: Path) -> None:
    first = dict(make_copies(plan_copies([photo], tmp_path / "one", edits_a_photo=len(EDITS))))
    again = dict(make_copies(plan_copies([photo], tmp_path / "two", edits_a_photo=len(EDITS))))
    files = [file for file in first.values() if isinstance(file, Path)]
    assert len(files) == len(set(files)) == len(EDITS) + 1
    assert next(iter(files)).read_bytes() == photo.read_bytes()
    for one, other in zip(files, again.values(), strict=True):
        assert isinstance(other, Path)
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()
        with Image.open(one) as picture:
            picture.load()


def test_a_photo_that_cannot_be_read_is_told_and_the_others_go_on(tmp_path: Path, photo: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    made = list(make_copies(plan_copies([broken, photo], tmp_path / "out", edits_a_photo=1)))
    reasons = [result for copy, result in made if copy.photo == broken and copy.edit]
    assert [type(reason) for reason in reasons] == [str]
    assert all(isinstance(result, Path) for copy, result in made if copy.photo == photo)


def test_the_sample() -> None:
    photos = sample_photos()
    assert len(photos) >= 60
    assert len({photo.stem for photo in photos}) == len(photos)
    assert sum(photo.stat().st_size for photo in photos) <= 3 * 1024 * 1024


def test_ids_are_paths_under_which_a_query_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert image_id(Path("a.jpg")) == str(tmp_path / "a.jpg")


def test_clearing(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "inside").mkdir(parents=True)
    clear(folder)
    clear(folder)
    assert not folder.exists()
