"""A TCP proxy in front of an engine that can misbehave: slow, refusing, cut off, hanging, garbage, error answers.

One asyncio loop in a thread serves all proxies. What a fault does depends on its seed alone. Kafka tells its clients
where to find it, so the proxy puts its own port into the answers, where the address of the broker stands.
"""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

__all__ = ["ErrorAnswers", "Fault", "Proxy", "ProxyLoop"]

Fault = Literal["slow", "refused", "cut", "hanging", "garbage", "errors"]

ErrorAnswers = Callable[[asyncio.StreamReader, asyncio.StreamWriter, random.Random], Awaitable[None]]
"""Plays the engine on one connection and answers everything with an error."""

_T = TypeVar("_T")
_CHUNK: Final = 65_536
_SLOW_SECONDS: Final = (0.1, 0.8)


class ProxyLoop:
    """The loop of all proxies, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of a coroutine of the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def close(self) -> None:
        """End the loop; close the proxies first."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


class Proxy:
    """In front of 127.0.0.1:`target`. `kafka`: rewrite the broker's address in its answers."""

    def __init__(self, loop: ProxyLoop, target: int, *, errors: ErrorAnswers, kafka: bool = False) -> None:
        self._loop = loop
        self._target = target
        self._errors = errors
        self._kafka = kafka
        self._fault: Fault | None = None
        self._random = random.Random()
        self._server: asyncio.Server | None = None
        self._lifted = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = loop.run(self._listen(0))

    def inject(self, fault: Fault, seed: str) -> None:
        """Misbehave from now on, also on the connections that are open."""
        self._loop.run(self._inject(fault, seed))

    def lift(self) -> None:
        """Behave again. Connections that hung go on where they stood, or are gone, as the seed has it."""
        self._loop.run(self._lift())

    def close(self) -> None:
        """Stop listening and cut all connections."""
        self._loop.run(self._close())

    async def _inject(self, fault: Fault, seed: str) -> None:
        self._random = random.Random(seed)
        self._lifted.clear()
        self._fault = fault
        if fault == "refused":
            await self._stop_listening()
        if fault in {"refused", "errors"}:
            self._abort()

    async def _lift(self) -> None:
        fault, self._fault = self._fault, None
        if fault == "refused":
            await self._listen(self.port)
        if fault in {"errors", "garbage"} or (fault == "hanging" and self._random.random() < 0.5):
            self._abort()
        self._lifted.set()

    async def _close(self) -> None:
        await self._stop_listening()
        self._lifted.set()
        self._abort()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _listen(self, port: int) -> int:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port, limit=_CHUNK)
        chosen: int = self._server.sockets[0].getsockname()[1]
        return chosen

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault == "hanging":
            await self._lifted.wait()
        if self._fault == "errors":
            await self._errors(reader, writer, self._random)
            return
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target, limit=_CHUNK)
        self._open.add(upstream)
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._requests(reader, upstream)),
                    asyncio.create_task(self._answers(upstream_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._open.discard(upstream)
            upstream.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._fault == "hanging":
                    await self._lifted.wait()
                upstream.write(data)
                await upstream.drain()

    async def _answers(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while data := await self._answer(upstream):
                fault = self._fault
                if fault == "hanging":
                    await self._lifted.wait()
                elif fault == "slow":
                    await asyncio.sleep(self._random.uniform(*_SLOW_SECONDS))
                elif fault == "garbage":
                    data = self._random.randbytes(len(data))
                elif fault == "cut":
                    writer.write(data[: self._random.randrange(len(data))])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()

    async def _answer(self, upstream: asyncio.StreamReader) -> bytes:
        """What came; of Kafka one whole answer, with our port in it."""
        if not self._kafka:
            return await upstream.read(_CHUNK)
        length = await upstream.readexactly(4)
        body = await upstream.readexactly(int.from_bytes(length))
        return length + body.replace(_address(self._target), _address(self.port))


def _address(port: int) -> bytes:
    """As Kafka writes host and port."""
    return b"127.0.0.1" + port.to_bytes(4)
