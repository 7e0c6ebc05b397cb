"""Decoding: what is accepted looks right, what is refused is refused in one sentence."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = encoded(gradient(), kind, exif=exif)
    # Pillow's own reading of the tag is the judge, on the picture as it was written.
    with Image.open(BytesIO(encoded(gradient(), kind))) as plain:
        plain.getexif()[0x0112] = orientation
        wanted = ImageOps.exif_transpose(plain).convert("RGB")
    decoded = decode(turned)
    assert decoded.size == ((60, 40) if orientation < 5 else (40, 60))
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(wanted))


def test_transparency_lies_over_white() -> None:
    assert decode(encoded(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), "PNG")).getpixel((5, 5)) == (255, 255, 255)
    assert decode(encoded(Image.new("LA", (20, 20), (0, 128)), "PNG")).getpixel((5, 5)) == (127, 127, 127)
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([10, 20, 30] * 256)
    assert decode(encoded(palette, "PNG", transparency=0)).getpixel((5, 5)) == (255, 255, 255)
    assert decode(encoded(palette, "GIF", transparency=0)).getpixel((5, 5)) == (255, 255, 255)
    for mode, colour in (("RGB", (10, 20, 30)), ("L", 40)):
        keyed = encoded(Image.new(mode, (20, 20), colour), "PNG", transparency=colour)
        assert decode(keyed).getpixel((5, 5)) == (255, 255, 255), mode


def test_a_transparent_colour_does_not_bleed_when_made_small() -> None:
    """The colour that means transparent is no part of the picture."""
    image = Image.new("RGB", (1200, 600), "white")
    image.paste((255, 0, 255), (0, 0, 601, 600))
    decoded = decode(encoded(image, "PNG", transparency=(255, 0, 255)))
    assert decoded.getextrema() == ((255, 255), (255, 255), (255, 255))


def test_cmyk_and_sixteen_bit() -> None:
    assert decode(encoded(Image.new("CMYK", (20, 20), (0, 0, 0, 0)), "JPEG")).getpixel((5, 5)) == (255, 255, 255)
    deep = Image.fromarray(np.full((20, 20), 32768, dtype=np.uint16))
    assert decode(encoded(deep, "PNG")).getpixel((5, 5)) == (127, 127, 127)
    large = Image.fromarray(np.full((600, 600), 32768, dtype=np.uint16))
    assert decode(encoded(large, "PNG"), side=100).getpixel((5, 5)) == (127, 127, 127)
    shallow = Image.fromarray(np.full((20, 20), 0.5, dtype=np.float32))
    assert decode(encoded(shallow, "TIFF")).getpixel((5, 5)) == (127, 127, 127)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_has_the_colours_of_the_picture(kind: str) -> None:
    """Adobe's JPEG holds the complement, TIFF does not."""
    cyan = Image.new("CMYK", (20, 20), (255, 0, 0, 0))
    red, green, blue = np.asarray(decode(encoded(cyan, kind)))[5, 5]
    assert (red < 10, green > 245, blue > 245) == (True, True, True)


def test_a_profile_is_converted_to_srgb() -> None:
    """A photo with wide-gamut numbers looks as its sRGB copy does."""
    srgb = ImageCms.createProfile("sRGB")
    wide = wide_gamut_profile()
    converted = ImageCms.profileToProfile(gradient(), srgb, ImageCms.ImageCmsProfile(BytesIO(wide)), outputMode="RGB")
    assert converted is not None
    # Pillow would embed the profile by itself.
    converted.info.clear()
    tagged, untagged = (decode(encoded(converted, "PNG", **options)) for options in ({"icc_profile": wide}, {}))
    plain = np.asarray(gradient(), dtype=int)
    assert np.abs(np.asarray(tagged, dtype=int) - plain).mean() < 1.5
    assert np.abs(np.asarray(untagged, dtype=int) - plain).mean() > 5


def test_a_profile_that_says_srgb_changes_no_number() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tagged, plain = encoded(gradient(), "PNG", icc_profile=profile), encoded(gradient(), "PNG")
    assert decode(tagged).tobytes() == decode(plain).tobytes()


def test_a_profile_for_another_kind_of_picture_is_ignored() -> None:
    grey = encoded(gradient().convert("L"), "PNG", icc_profile=wide_gamut_profile())
    assert decode(grey).tobytes() == decode(encoded(gradient().convert("L"), "PNG")).tobytes()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert decoded.getpixel((5, 5)) == (255, 0, 0)


def test_a_progressive_jpeg_looks_like_a_plain_one() -> None:
    plain, progressive = (decode(encoded(gradient(), "JPEG", progressive=flag)) for flag in (False, True))
    assert plain.tobytes() == progressive.tobytes()


def test_the_long_side_is_bounded() -> None:
    assert decode(encoded(gradient(900, 300), "PNG"), side=300).size == (300, 100)


def wide_gamut_profile() -> bytes:
    """sRGB's profile with the primaries of Display P3 (in the connection space, D50) and a name of its own."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    (count,) = struct.unpack_from(">I", profile, 128)
    for entry in range(count):
        name, offset, length = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        if name in primaries:
            struct.pack_into(">3i", profile, offset + 8, *(round(part * 65536) for part in primaries[name]))
        if name == b"desc":
            text = bytes(profile[offset : offset + length])
            profile[offset : offset + length] = text.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
    return bytes(profile)


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
        (encoded(gradient(300, 200), "WEBP")[:200], "truncated"),
        (encoded(gradient(300, 200), "TIFF", compression="tiff_lzw")[:900], "begins like TIFF, but its header is"),
        (encoded(gradient(4, 4), "PNG"), "4 x 4 pixels are too few"),
        (oversized_png(), "pixels"),
    ],
    ids=["empty", "text", "pdf", "ppm", "cut jpeg", "cut png", "cut webp", "cut tiff", "tiny", "oversized"],
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
