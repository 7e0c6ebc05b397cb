"""Redis for more than one stage: the client, its errors in this project's words, and libraries of functions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from neardup.errors import CacheUnavailableError
from neardup.settings import RedisSettings

__all__ = ["FunctionLibrary", "connect", "redis_errors"]


def connect(settings: RedisSettings, url: str) -> Redis:
    """A client for `url` (redis(s)://…). Close it with `.close()`. Nothing is sent yet; nothing is sent twice."""
    return Redis.from_url(
        url,
        socket_timeout=settings.timeout_seconds,
        socket_connect_timeout=settings.timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )


@contextmanager
def redis_errors(action: str) -> Iterator[None]:
    """Turns every error of the client into CacheUnavailableError; `action` says what was tried."""
    try:
        yield
    except (RedisError, OSError) as exc:
        raise CacheUnavailableError(f"Redis: {action} failed: {exc}") from exc


class FunctionLibrary:
    """Functions in one Lua text, whose first line names the library; each function is called <library>_<name>.

    Calling loads a library that is missing, and does not look at one that is there: another text needs another name, or
    `setup`.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    def setup(self, client: Redis, *, dry_run: bool = False) -> list[str]:
        """Load the library unless this very text is loaded; returns the changes. Raises CacheUnavailableError."""
        with redis_errors("loading the functions"):
            if self._loaded(client) == self._text:
                return []
            if not dry_run:
                client.function_load(self._text, replace=True)
        return [f"redis function library {self._name}"]

    def call(self, client: Redis, function: str, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """The answer of a function. Raises CacheUnavailableError."""
        call = (f"{self._name}_{function}", len(keys), *keys, *arguments)
        with redis_errors(function):
            try:
                return client.fcall(*call)
            except ResponseError as exc:
                if "Function not found" not in str(exc):
                    raise
                # A Redis that lost everything also lost its functions.
                client.function_load(self._text, replace=True)
                return client.fcall(*call)

    def _loaded(self, client: Redis) -> str | None:
        for library in client.function_list(library=self._name, withcode=True):
            code = _fields(library)[b"library_code"]
            return bytes(code).decode()
        return None


def _fields(library: Any) -> dict[bytes, Any]:
    if isinstance(library, dict):
        return library
    return dict(zip(library[0::2], library[1::2], strict=True))
