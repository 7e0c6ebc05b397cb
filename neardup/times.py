"""Moments as people write them."""

from datetime import datetime

__all__ = ["epoch_ms"]


def epoch_ms(text: str) -> int:
    """Milliseconds since the epoch of a moment in RFC 3339, such as 2026-01-31T12:00:00Z. A time zone must be given.

    Raises ValueError.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f"is not a moment like 2026-01-31T12:00:00Z: {text!r}") from exc
    if moment.tzinfo is None:
        raise ValueError(f"has no time zone: {text!r}; write for example 2026-01-31T12:00:00Z")
    return round(moment.timestamp() * 1000)
