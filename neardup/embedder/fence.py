"""Decoding behind a fence: in processes of its own, with a limit of time and of memory for each image.

Image decoders are C code that reads whatever strangers send. Here the worst that a file can do is to end a process that
was waiting for nothing else: that image is refused with the reason, the next one gets a new process. Only pixels of a
bounded number come back, and nothing that comes back is executed or unpickled.
"""

import os
import subprocess
import sys
import threading
import time
import weakref
from functools import lru_cache
from multiprocessing.connection import Pipe
from typing import Final

from PIL import Image

from neardup.embedder.decoder import PICTURE, SIZE
from neardup.errors import ConfigError, InvalidImageError
from neardup.settings import DecodeSettings, load_settings

__all__ = ["Fence", "process_fence"]

_START_SECONDS: Final = 60.0
_LONGEST_REASON: Final = 4096


class Fence:
    """Decodes image files in other processes. They start when they are first needed, at most `limits.processes` of
    them, and end with this object. Thread-safe."""

    def __init__(self, limits: DecodeSettings) -> None:
        self._limits = limits
        self._idle: list[_Decoder] = []
        self._room = threading.BoundedSemaphore(limits.processes)
        self._owner = os.getpid()
        self._finalizer = weakref.finalize(self, _end_all, self._idle)

    def decode(self, data: bytes, *, side: int = 512) -> Image.Image:
        """As `neardup.embedder.decode.decode`, the same pixels. Raises InvalidImageError, also for a file that is too
        large, takes too long, needs too much memory or ends the decoder; ConfigError when no decoder can be started."""
        if len(data) > self._limits.file_mb * 2**20:
            raise InvalidImageError(f"the file is larger than {self._limits.file_mb} MB")
        with self._room:
            decoder = self._decoder()
            try:
                answer = decoder.ask(data, side=side, seconds=self._limits.timeout_seconds)
            except BaseException:
                # Also when interrupted: an answer nobody waited for would be taken for that to the next image.
                decoder.end()
                raise
            self._idle.append(decoder)
        return _picture(answer)

    def close(self) -> None:
        """End the idle decoders."""
        self._finalizer()

    def _decoder(self) -> "_Decoder":
        if os.getpid() != self._owner:
            # After a fork the connections are the parent's.
            self._owner = os.getpid()
            self._idle.clear()
        while self._idle:
            decoder = self._idle.pop()
            if decoder.alive:
                return decoder
            decoder.end()
        return _Decoder(self._limits)


class _Decoder:
    """One process and the connection to it."""

    def __init__(self, limits: DecodeSettings) -> None:
        self._connection, theirs = Pipe()
        numbers = (theirs.fileno(), limits.timeout_seconds, limits.memory_mb, limits.max_pixels)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "neardup.embedder.decoder", *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_environment(),
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.end()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, data: bytes, *, side: int, seconds: float) -> bytes:
        started = time.monotonic()
        try:
            self._connection.send_bytes(str(side).encode())
            self._connection.send_bytes(data)
            if not self._connection.poll(max(0.0, seconds - (time.monotonic() - started))):
                raise InvalidImageError(f"takes longer than {seconds:g} s to decode")
            return self._connection.recv_bytes(1 + SIZE.size + max(3 * side * side, _LONGEST_REASON))
        except (EOFError, OSError) as exc:
            raise InvalidImageError(f"the decoder crashed on it ({self._last_words()})") from exc

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _wait_until_ready(self) -> None:
        ready = self._connection.poll(_START_SECONDS)
        try:
            if ready:
                self._connection.recv_bytes()
        except (EOFError, OSError) as exc:
            raise ConfigError("no decoder of images could be started; its error is above") from exc
        if not ready:
            raise ConfigError(f"no decoder of images could be started within {_START_SECONDS:.0f} s")

    def _last_words(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "it broke off its answer"
        return f"signal {-code}" if code < 0 else f"exit code {code}"


@lru_cache(1)
def process_fence() -> Fence:
    """One for this process, with the limits of the settings: for the workers of a pool."""
    return Fence(load_settings().decode)


def _picture(answer: bytes) -> Image.Image:
    kind, body = answer[:1], answer[1:]
    if kind != PICTURE:
        raise InvalidImageError(body.decode(errors="replace"))
    return Image.frombytes("RGB", SIZE.unpack_from(body), body[SIZE.size :])


def _environment() -> dict[str, str]:
    """That of this process, so that the same packages are found, but no passwords, and one thread is enough."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEARDUP_")}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}


def _end_all(decoders: list[_Decoder]) -> None:
    while decoders:
        decoders.pop().end()
