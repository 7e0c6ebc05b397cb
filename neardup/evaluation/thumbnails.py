"""Small pictures inside HTML."""

import base64
from io import BytesIO
from pathlib import Path

from neardup.embedder.decode import Decode

__all__ = ["thumbnail"]

_HEIGHT = 112


def thumbnail(file: Path, decode: Decode) -> str:
    """A JPEG at most 112 pixels high and twice as wide, in base64. Raises InvalidImageError."""
    picture = decode(file.read_bytes(), side=2 * _HEIGHT)
    picture.thumbnail((2 * _HEIGHT, _HEIGHT))
    stream = BytesIO()
    picture.save(stream, "jpeg", quality=72)
    return base64.b64encode(stream.getvalue()).decode("ascii")
