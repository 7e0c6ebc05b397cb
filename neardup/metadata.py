"""Metadata of an image: names and texts of the producer's choice, and the few names that mean something here."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from neardup.times import epoch_ms

__all__ = ["MEANINGS", "check_metadata"]

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def _name(value: str) -> None:
    if not value:
        raise ValueError("is empty")
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError("contains a control character")


def _moment(value: str) -> None:
    epoch_ms(value)


def _url(value: str) -> None:
    if any(character.isspace() for character in value):
        raise ValueError("contains a blank; a URL has them escaped")
    parts = urlsplit(value)
    if not parts.scheme or not (parts.netloc or parts.path.startswith("/")):
        raise ValueError(f"is not an absolute URL: {value!r}")


def _digest(value: str) -> None:
    if _SHA256.fullmatch(value) is None:
        raise ValueError("is not 64 hex digits in lower case")


MEANINGS: Final[Mapping[str, tuple[str, Callable[[str], None]]]] = {
    "source": ("where the image comes from, for example the system that took it in", _name),
    "tenant": ("whose image it is", _name),
    "created_at": ("when the image was made: a moment with a time zone, such as 2026-01-31T12:00:00Z", _moment),
    "image_url": ("where the image itself is: an absolute URL", _url),
    "sha256": ("the exact digest of the file: 64 hex digits in lower case", _digest),
}
"""What these names mean, and a check that raises ValueError. Other names may hold any text."""


def check_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """The same metadata. Raises ValueError that begins with the name whose text does not fit its meaning."""
    for name, (_, check) in MEANINGS.items():
        if name in metadata:
            try:
                check(metadata[name])
            except ValueError as exc:
                raise ValueError(f"{name} {exc}") from exc
    return metadata
