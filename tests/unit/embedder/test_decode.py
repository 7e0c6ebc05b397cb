"""Decoding: what is accepted looks right, what is refused is refused in one sentence."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neardup.embedder.decode import decode
from neardup.errors import InvalidImageError


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gradient(width: int = 60, height: int = 40) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([columns * 4, rows * 6, columns + rows], axis=2).astype(np.uint8))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_gives_the_same_picture(kind: str) -> None:
    decoded = decode(encoded(gradient(), kind))
    assert (decoded.mode, decoded.size) == ("RGB", (60, 40))
    difference = np.abs(np.asarray(decoded, dtype=int) - np.asarray(gradient(), dtype=int))
    assert difference.mean() < 12


def test_exif_orientation_turns_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(gradient(), "JPEG", exif=exif)).size == (40, 60)


def test_transparency_lies_over_white() -> None:
    assert decode(encoded(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), "PNG")).getpixel((5, 5)) == (255, 255, 255)
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert decode(encoded(palette, "PNG", transparency=0)).getpixel((5, 5)) == (255, 255, 255)


def test_cmyk_and_sixteen_bit() -> None:
    assert decode(encoded(Image.new("CMYK", (20, 20), (0, 0, 0, 0)), "JPEG")).getpixel((5, 5)) == (255, 255, 255)
    deep = Image.fromarray(np.full((20, 20), 32768, dtype=np.uint16))
    assert decode(encoded(deep, "PNG")).getpixel((5, 5)) == (127, 127, 127)
    shallow = Image.fromarray(np.full((20, 20), 0.5, dtype=np.float32))
    assert decode(encoded(shallow, "TIFF")).getpixel((5, 5)) == (127, 127, 127)


def test_of_an_animation_the_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    decoded = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert decoded.getpixel((5, 5)) == (255, 0, 0)


def test_the_long_side_is_bounded() -> None:
    assert decode(encoded(gradient(900, 300), "PNG"), side=300).size == (300, 100)


def oversized_png() -> bytes:
    """A header that claims 200,000 x 200,000 pixels and nothing behind it."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"")))
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not an image at all", "not an image in one of the formats JPEG, PNG"),
        (b"%PDF-1.7\n%....", "not an image"),
        (encoded(gradient(), "PPM"), "not an image in one of the formats"),
        (encoded(gradient(300, 200), "JPEG")[:900], "truncated or damaged"),
        (encoded(gradient(300, 200), "PNG")[:300], "truncated or damaged"),
        (encoded(gradient(300, 200), "WEBP")[:200], "not an image|truncated"),
        (encoded(gradient(4, 4), "PNG"), "4 x 4 pixels are too few"),
        (oversized_png(), "pixels"),
    ],
    ids=["empty", "text", "pdf", "ppm", "cut jpeg", "cut png", "cut webp", "tiny", "oversized"],
)
def test_refused_in_one_sentence(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidImageError, match=reason) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_pixel_limit_is_kept() -> None:
    data = encoded(gradient(100, 100), "PNG")
    assert decode(data, max_pixels=10_000).size == (100, 100)
    with pytest.raises(InvalidImageError, match="100 x 100 pixels are more than the 9999"):
        decode(data, max_pixels=9_999)


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    keep=st.floats(0, 1),
)
def test_damaged_bytes_give_a_picture_or_the_one_error(kind: str, damage: list[tuple[float, int]], keep: float) -> None:
    data = bytearray(encoded(gradient(), kind))
    for place, value in damage:
        data[int(place * len(data))] = value
    try:
        decoded = decode(bytes(data[: int(keep * len(data))]), max_pixels=1_000_000)
    except InvalidImageError:
        return
    assert decoded.mode == "RGB"
    assert max(decoded.size) <= 512
