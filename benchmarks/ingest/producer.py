"""A producer in a process of its own: sends both embeddings of images at a rate, or as fast as they become readable."""

import base64
import json
import signal
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import numpy as np

from benchmarks.ingest.images import Images, burst, image_id, stream
from neardup.kafka import Kafka
from neardup.settings import Settings
from neardup.topics import Topics

__all__ = ["Pace", "Published", "produce"]

_CHUNK = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is sent and how fast. `name`: of the stream, and of its ids. `rate`: images a second, 0 for as fast as they
    become readable, with `ahead` images on the way. It ends after `count` images or `seconds`, whatever is first."""

    name: str
    duplicates: float
    rate: float
    count: int
    seconds: float
    ahead: int = 1_000
    copies_of_one: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """`present_ms` of each image by row: when the broker had the second of its embeddings, by the broker's clock.
    `late_seconds`: how far behind its schedule the producer was at worst; `cpu_seconds`: what sending took."""

    present_ms: list[int]
    late_seconds: float
    cpu_seconds: float


def produce(settings: Settings, servers: str, pace: Pace, readable: "Synchronized[int]", pipe: Connection) -> None:
    """The process: says "ready", waits for a word, sends, then gives what was published. `readable`: how many of its
    images can be read already."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    topics = Topics(settings.namespace)
    producer = Kafka(settings.kafka, servers).producer(linger_ms=2, batch_size=256 * 1024)
    acknowledged: deque[tuple[Any, Any]] = deque()
    chunk = _messages(pace, 0)
    pipe.send("ready")
    pipe.recv()
    begun, used = time.monotonic(), time.process_time()
    late, sent = 0.0, 0
    while sent < pace.count and time.monotonic() - begun < pace.seconds:
        if pace.rate:
            wait = begun + sent / pace.rate - time.monotonic()
            late = max(late, -wait)
            if wait > 0:
                time.sleep(wait)
        else:
            while sent - readable.value >= pace.ahead and time.monotonic() - begun < pace.seconds:
                time.sleep(0.005)
        if sent and sent % _CHUNK == 0:
            chunk = _messages(pace, sent // _CHUNK)
        key, lsh, score = chunk[sent % _CHUNK]
        acknowledged.append(
            (
                producer.send(topics.lsh_embeddings, key=key, value=lsh),
                producer.send(topics.score_embeddings, key=key, value=score),
            )
        )
        sent += 1
    producer.flush(timeout=60)
    present = [max(one.get(timeout=30).timestamp for one in both) for both in acknowledged]
    pipe.send(Published(present, late, time.process_time() - used))
    producer.close(timeout=10)


def _messages(pace: Pace, part: int) -> list[tuple[bytes, bytes, bytes]]:
    images = _images(pace, part)
    return [_message(image_id(pace.name, part * _CHUNK + row), images, row) for row in range(len(images))]


def _images(pace: Pace, part: int) -> Images:
    if pace.copies_of_one:
        return burst(pace.count).rows(slice(part * _CHUNK, (part + 1) * _CHUNK))
    return stream(pace.name, part, _CHUNK, duplicates=pace.duplicates)


def _message(name: str, images: Images, row: int) -> tuple[bytes, bytes, bytes]:
    """The key and the two values, written as docs/messages.md says."""
    values = [
        json.dumps(
            {
                "schema": 1,
                "image_id": name,
                "version": 0,
                "embedding": base64.b64encode(np.asarray(embedding, dtype="<f4").tobytes()).decode(),
                "metadata": {"source": "benchmark"},
            }
        ).encode()
        for embedding in (images.lsh[row], images.score[row])
    ]
    return name.encode(), values[0], values[1]
