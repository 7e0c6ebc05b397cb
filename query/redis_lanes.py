"""The lanes of the search limit on Redis Functions: one exact log of permits a lane, by the clock of the server."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from redis import Redis

from neardup.lanes import LANES, WINDOW_SECONDS, Lane
from neardup.redis import FunctionLibrary

__all__ = ["LIBRARY", "RedisLanes", "setup_functions"]

LIBRARY = "neardup_searches_1"
_GRACE_SECONDS = 0.15


def setup_functions(client: Redis, *, dry_run: bool = False) -> list[str]:
    """Load the function library unless this very text is loaded; returns the changes. Raises CacheUnavailableError."""
    return _library().setup(client, dry_run=dry_run)


class RedisLanes:
    """What SharedSearchLimiter needs of Redis, for one namespace; the client is the caller's to close.

    The keys share one hash tag. Dropping the head cache of the namespace leaves them alone: permits that were forgotten
    would be given twice. They expire by themselves a minute after the last permit.
    """

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}.searches:"

    def acquire(self, lane: Lane, searches: int, *, limit: int, notice_seconds: float, name: str) -> float:
        wait = _library().call(
            self._client,
            "acquire",
            [self._key(lane), self._key("hold"), self._key(f"{lane}-queue")],
            [limit, searches, *map(_microseconds, (WINDOW_SECONDS, notice_seconds, _GRACE_SECONDS)), name],
        )
        return float(wait) / 1e6

    def hold(self, *, first_seconds: float, later_seconds: float) -> None:
        keys = [self._key("hold"), *map(self._key, LANES)]
        _library().call(self._client, "hold", keys, [_microseconds(first_seconds), _microseconds(later_seconds)])

    def used(self, lanes: Sequence[Lane]) -> list[int]:
        counts = _library().call(self._client, "used", [self._key(lane) for lane in lanes], [])
        return [int(count) for count in counts]

    def _key(self, name: str) -> bytes:
        return f"{self._prefix}{name}".encode()


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


@cache
def _library() -> FunctionLibrary:
    return FunctionLibrary(LIBRARY, (files("query") / "scripts" / "searches.lua").read_text(encoding="utf-8"))
