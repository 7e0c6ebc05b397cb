"""The bytes of an image file -> an upright RGB picture of bounded size.

What is refused is refused with one sentence a person can act on. Only the formats in `FORMATS` are tried: Pillow's
other plug-ins never see the bytes.
"""

import warnings
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from neardup.errors import InvalidImageError

__all__ = ["FORMATS", "MAX_PIXELS", "decode"]

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS: Final = 100_000_000
MIN_SIDE: Final = 8

_SIXTEEN_BIT: Final = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def decode(data: bytes, *, side: int = 512, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in RGB, turned upright by its EXIF orientation, its long side at most `side`.

    Transparency lies over white, of an animation the first frame counts, 16-bit greys are scaled to 8.
    Raises InvalidImageError.
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
                return _bounded(_rgb(ImageOps.exif_transpose(image)), side)
        except InvalidImageError:
            raise
        except UnidentifiedImageError as exc:
            raise InvalidImageError(f"not an image in one of the formats {', '.join(FORMATS)}") from exc
        except Image.DecompressionBombError as exc:
            raise InvalidImageError(f"more than {max_pixels} pixels are not accepted") from exc
        except MemoryError as exc:
            raise InvalidImageError("the picture does not fit into memory") from exc
        # Whatever a codec stumbles over in damaged bytes (OSError, SyntaxError, struct.error, IndexError …).
        except Exception as exc:
            raise InvalidImageError(f"the file is truncated or damaged ({exc})") from exc


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise InvalidImageError(f"{width} x {height} pixels are more than the {max_pixels} accepted")
    if min(width, height) < MIN_SIDE:
        raise InvalidImageError(f"{width} x {height} pixels are too few: {MIN_SIDE} a side are the least")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image, dtype=np.float64)
        values = np.where(np.isfinite(values), values, 0.0)
        top = 65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _bounded(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image
