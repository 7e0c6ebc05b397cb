"""Colours by an embedded ICC profile -> sRGB, which is what copies without a profile are taken for."""

from functools import lru_cache
from io import BytesIO
from typing import Final

from PIL import Image, ImageCms

__all__ = ["to_srgb"]

_SPACES: Final = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}
"""Mode of a picture -> colour space of the profiles that can describe it."""
_LARGEST_PROFILE: Final = 4 * 2**20


def to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """A picture in mode RGB, L or CMYK -> RGB, by its profile. Without one, or with one that is damaged or for another
    kind of picture, as if it were in sRGB."""
    if isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST_PROFILE:
        transform = _transform(profile, image.mode)
        if transform is not None:
            converted = ImageCms.applyTransform(image, transform)
            assert converted is not None
            return converted
    return image.convert("RGB")


@lru_cache(8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None: nothing is to be done. The few profiles of a camera or a program come again and again, so they are kept."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        # Converting sRGB to sRGB would cost time and round the colours.
        if space != _SPACES.get(mode) or "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
