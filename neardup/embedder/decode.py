"""The bytes of an image file -> an upright sRGB picture of bounded size.

What is refused is refused with one sentence a person can act on. Only the formats in `FORMATS` are tried: Pillow's
other plug-ins never see the bytes. This runs in the caller's process; `neardup.embedder.fence` runs it in another.
"""

import warnings
from io import BytesIO
from typing import Final, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from neardup.embedder.colour import to_srgb
from neardup.errors import InvalidImageError

__all__ = ["FORMATS", "MAX_PIXELS", "Decode", "decode"]

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS: Final = 100_000_000
MIN_SIDE: Final = 8

_SIGNATURES: Final = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "WebP": (b"RIFF",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
_DEEP: Final = ("I", "F")
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Decode(Protocol):
    """`decode`, or the same behind a fence."""

    def __call__(self, data: bytes, *, side: int = 512) -> Image.Image: ...


def decode(data: bytes, *, side: int = 512, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in RGB, turned upright by its EXIF orientation, its long side at most `side`.

    Colours are converted to sRGB when a profile is embedded, transparency lies over white, of an animation the first
    frame counts, 16-bit greys are scaled to 8. Raises InvalidImageError.
    """
    if not data:
        raise InvalidImageError("the file is empty (0 bytes)")
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of large pictures; both are dealt with here.
        warnings.simplefilter("ignore")
        try:
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                _check_size(image, max_pixels)
                image.draft("RGB", (side, side))
                image.load()
                # Made small first: all that follows then costs little time and memory.
                small = _bounded(_resizable(image), side)
                return _upright(to_srgb(_opaque(small), image.info.get("icc_profile")), _orientation(image))
        except InvalidImageError:
            raise
        except UnidentifiedImageError as exc:
            raise InvalidImageError(_unidentified(data)) from exc
        except Image.DecompressionBombError as exc:
            raise InvalidImageError(f"more than {max_pixels} pixels are not accepted") from exc
        except MemoryError as exc:
            raise InvalidImageError("the picture does not fit into memory") from exc
        # Whatever a codec stumbles over in damaged bytes (OSError, SyntaxError, struct.error, IndexError …).
        except Exception as exc:
            raise InvalidImageError(f"the file is truncated or damaged ({_line(exc)})") from exc


def _unidentified(data: bytes) -> str:
    for name, signatures in _SIGNATURES.items():
        if data.startswith(signatures):
            return f"the file begins like {name}, but its header is truncated or damaged"
    return f"not an image in one of the formats {', '.join(FORMATS)}"


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise InvalidImageError(f"{width} x {height} pixels are more than the {max_pixels} accepted")
    if min(width, height) < MIN_SIDE:
        raise InvalidImageError(f"{width} x {height} pixels are too few: {MIN_SIDE} a side are the least")


def _resizable(image: Image.Image) -> Image.Image:
    """In a mode whose values may be averaged: indices of a palette and a colour that means transparent may not."""
    if image.mode.startswith("I;16"):
        return image.convert("I")
    if image.has_transparency_data and image.mode not in {"RGBA", "LA"}:
        return image.convert("RGBA")
    if image.mode in {"P", "1"}:
        return image.convert("RGB")
    return image


def _bounded(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image


def _opaque(image: Image.Image) -> Image.Image:
    """In mode RGB, L or CMYK."""
    if image.mode in _DEEP:
        values = np.asarray(image, dtype=np.float64)
        values = np.where(np.isfinite(values), values, 0.0)
        top = 65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    if image.mode in {"RGBA", "LA"}:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode in {"RGB", "L", "CMYK"} else image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1 when the metadata are damaged, for then nobody else turns the picture either."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - metadata are as damaged as whoever wrote them liked
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
