"""A connection pool to a Gremlin server that survives its restarts: constant scripts with bindings in, rows out."""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from queue import LifoQueue
from types import TracebackType
from typing import Any, Self

import aiohttp
from gremlin_python.driver.aiohttp.transport import AiohttpTransport
from gremlin_python.driver.client import Client
from gremlin_python.driver.protocol import GremlinServerError
from janusgraph_python.driver.serializer import JanusGraphBinarySerializersV1

from neardup.errors import ClusterStoreUnavailableError, ConfigError
from neardup.settings import JanusGraphSettings

__all__ = ["Gremlin", "script"]

# The driver logs each error with its whole context and raises it as well; once is enough.
logging.getLogger("gremlinpython").setLevel(logging.CRITICAL)

_CONNECTIONS = 4
_ATTEMPTS = 8
_LONGEST_PAUSE_SECONDS = 0.4
_LARGEST_ANSWER = 256 * 1024 * 1024
_CLOSE_SECONDS = 1.0
_LOST_RACES = ("Lock", "lock")


# One text instead of values one by one: the driver takes 4 us and more to read each of these, json a tenth of one.
_IN_JSON = "{}\ngroovy.json.JsonOutput.toJson(({{ ->\n{}\n}}).call())"


@cache
def script(name: str) -> str:
    """graph/scripts/`name`.groovy behind shared.groovy, answering with what it returns as JSON."""
    return _IN_JSON.format(
        *((files("graph") / "scripts" / f"{one}.groovy").read_text("utf-8") for one in ("shared", name))
    )


class Gremlin:
    """At most four connections, opened when needed and usable from any thread; a broken one is replaced.

    One request is one transaction. Nothing of a request that failed has been written, unless the connection broke.
    """

    def __init__(
        self,
        settings: JanusGraphSettings,
        url: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._url = url
        self._sleep = sleep
        self._idle: LifoQueue[Client | None] = LifoQueue()
        for _ in range(_CONNECTIONS):
            self._idle.put(None)

    def run(self, name: str, bindings: Mapping[str, Any]) -> list[Any]:
        """The list that a script of this package returns. A request that lost a race for a lock is sent again, after a
        random pause.

        Raises ClusterStoreUnavailableError, ConfigError when the graph schema is missing.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._request(script(name), bindings)
            except GremlinServerError as exc:
                message = str(exc.status_message)
                if "Undefined type used in query" in message or "with given name does not exist" in message:
                    raise ConfigError("JanusGraph: the graph schema is missing; create it with: neardup setup") from exc
                if attempt == _ATTEMPTS or not any(word in message for word in _LOST_RACES):
                    raise ClusterStoreUnavailableError(f"JanusGraph: {name} failed: {message}") from exc
                self._sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS * attempt / _ATTEMPTS))  # noqa: S311
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close all idle connections; the pool opens new ones if it is used again."""
        # All first: the queue gives back what was put last.
        for client in [self._idle.get() for _ in range(_CONNECTIONS)]:
            _discard(client)
            self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _request(self, text: str, bindings: Mapping[str, Any]) -> list[Any]:
        """Sends a request, again if it met a connection that the server had closed while it was idle: after a restart
        of the server all are. Writes are safe to send twice, for they name the seq they follow."""
        for _ in range(_CONNECTIONS):
            try:
                return self._send(text, bindings)
            except _StaleConnectionError:
                continue
        return self._send(text, bindings)

    def _send(self, text: str, bindings: Mapping[str, Any]) -> list[Any]:
        client = self._idle.get()
        reused = client is not None
        try:
            if client is None:
                client = self._open()
            # Only this side gives up: a server that interrupts an evaluation of BerkeleyJE loses its environment.
            (answer,) = client.submit(text, dict(bindings)).all().result()
            rows: list[Any] = json.loads(answer)
        except GremlinServerError:
            raise
        except Exception as exc:
            # Whatever else the driver raises (aiohttp, asyncio, RuntimeError), the connection is of no more use.
            broken, client = client, None
            _discard(broken)
            stale = reused and isinstance(exc, RuntimeError) and "closed" in str(exc)
            error = _StaleConnectionError if stale else ClusterStoreUnavailableError
            raise error(f"JanusGraph at {self._url}: {type(exc).__name__}: {exc}") from exc
        finally:
            self._idle.put(client)
        return rows

    def _open(self) -> Client:
        return Client(
            self._url,
            self._settings.traversal_source,
            pool_size=1,
            message_serializer=JanusGraphBinarySerializersV1(),
            transport_factory=lambda: _Transport(self._settings.timeout_seconds),
            max_content_length=_LARGEST_ANSWER,
        )


class _StaleConnectionError(ClusterStoreUnavailableError):
    """The server closed this connection before the request."""


class _Transport(AiohttpTransport):  # type: ignore[misc]
    """The driver's transport with a limit also on opening and closing: a server that hangs must not hold us."""

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(read_timeout=timeout_seconds, write_timeout=timeout_seconds)
        self._open_seconds = timeout_seconds

    def connect(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        try:
            self._loop.run_until_complete(self._connect(url, headers))
        except BaseException:
            self._loop.close()
            raise

    def close(self) -> None:
        try:
            super().close()
        finally:
            # Also when the connection broke while it was being closed.
            self._loop.close()

    async def _connect(self, url: str, headers: Mapping[str, str] | None) -> None:
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._open_seconds))
        try:
            self._websocket = await session.ws_connect(
                url,
                headers=headers,
                max_msg_size=_LARGEST_ANSWER,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            )
        except BaseException:
            await session.close()
            raise
        self._client_session = session


def _discard(client: Client | None) -> None:
    if client is None:
        return
    try:
        # The driver tells us of an answer or an error before it gives the connection back to be closed: wait for that.
        client.executor.shutdown()
        client.close()
    except Exception:
        logging.getLogger(__name__).debug("closing a connection failed", exc_info=True)
