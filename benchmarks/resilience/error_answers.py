"""What engines say when they cannot: each function plays one on a connection and answers everything with an error."""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final

import grpc

__all__ = ["grpc_errors", "http_errors", "kafka_errors", "redis_errors", "relay_to"]

_HTTP: Final = (
    (429, "Too Many Requests", "rejected_execution_exception"),
    (500, "Internal Server Error", "exception"),
    (503, "Service Unavailable", "cluster_block_exception"),
)
_REDIS: Final = (
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
)
_GRPC: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNKNOWN,
)
_COMMAND: Final = re.compile(rb"(?:^|\r\n)\*\d+\r\n")


async def http_errors(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
    """OpenSearch, and JanusGraph before it becomes a web socket: one request, one error, closed."""
    await reader.readuntil(b"\r\n\r\n")
    status, phrase, kind = rng.choice(_HTTP)
    body = json.dumps({"error": {"type": kind, "reason": "a fault was injected"}, "status": status}).encode()
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


async def redis_errors(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
    """Redis: one error for each command."""
    while data := await reader.read(65_536):
        for _ in _COMMAND.findall(data):
            writer.write(f"-{rng.choice(_REDIS)}\r\n".encode())
        await writer.drain()


async def kafka_errors(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
    """Kafka: an answer of nonsense to each request, under the number of that request."""
    while True:
        length = int.from_bytes(await reader.readexactly(4))
        request = await reader.readexactly(length)
        answer = request[4:8] + rng.randbytes(rng.randint(0, 64))
        writer.write(len(answer).to_bytes(4) + answer)
        await writer.drain()


def relay_to(port: int) -> Any:
    """Hand the connection to a server that only gives errors."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: random.Random) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.wait(
                [asyncio.create_task(_copy(reader, upstream)), asyncio.create_task(_copy(upstream_reader, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            upstream.transport.abort()

    return relay


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@contextmanager
def grpc_errors(seed: str) -> Iterator[int]:
    """The port of a gRPC server that knows every method and refuses each call."""
    rng = random.Random(seed)

    def refuse(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(rng.choice(_GRPC), "a fault was injected")

    class Everything(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
        def service(self, _: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Everything()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()
