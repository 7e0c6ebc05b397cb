"""Cursors of member pages: the seq of the last member and a digest of its segment, as one short text. Pure."""

import hashlib
import re
from typing import Final

from neardup.errors import InvalidCursorError

__all__ = [
    "DIGEST_LENGTH",
    "format_cursor",
    "format_newest",
    "no_such_segment",
    "parse_cursor",
    "parse_newest",
    "segment_digest",
]

DIGEST_LENGTH: Final = 12
"""Hex digits that name a segment among the few of its cluster."""

_FORM: Final = re.compile(rf"(\d{{1,18}})-([0-9a-f]{{{DIGEST_LENGTH}}})", re.ASCII)

_NEWEST: Final = re.compile(r"before-(\d{1,18})", re.ASCII)
_NO_SEQ: Final = 10**18


def format_cursor(seq: int, digest: str) -> str:
    """The cursor behind the member of this seq in the segment of this digest, such as 4711-1f0c9a2b77e0."""
    return f"{seq}-{digest}"


def parse_cursor(cursor: str | None) -> tuple[int, str]:
    """The seq and the digest of a cursor; without one 0 and "", the beginning. Raises InvalidCursorError."""
    if cursor is None:
        return 0, ""
    found = _FORM.fullmatch(cursor)
    if found is None:
        raise InvalidCursorError(f"after: {cursor!r} is not a cursor that a page ended with")
    return int(found[1]), found[2]


def format_newest(seq: int) -> str:
    """The cursor behind the member of this seq on a page that has the newest first, such as before-4711."""
    return f"before-{seq}"


def parse_newest(cursor: str | None) -> int:
    """The seq of such a cursor; without one a seq that no member reaches. Raises InvalidCursorError."""
    if cursor is None:
        return _NO_SEQ
    found = _NEWEST.fullmatch(cursor)
    if found is None:
        raise InvalidCursorError(f"after: {cursor!r} is not a cursor that a page with the newest first ended with")
    return int(found[1])


def no_such_segment(cursor: str | None) -> InvalidCursorError:
    """The error for a cursor whose segment is not in the cluster."""
    return InvalidCursorError(f"after: {cursor!r} is of members that are not in this cluster (any more); begin again")


def segment_digest(segment: str) -> str:
    """The digest that stands for a segment in a cursor."""
    return hashlib.blake2b(segment.encode(), digest_size=DIGEST_LENGTH // 2).hexdigest()
