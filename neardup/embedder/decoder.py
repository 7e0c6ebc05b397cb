"""The process behind the fence: it decodes images for another process, within limits that the kernel keeps.

Started by `neardup.embedder.fence`. It loads Pillow and nothing of the network, so it starts fast and is small. What it
reads are messages (long side wanted, then the file); what it answers is one message, see `answer`.
"""

import os
import resource
import signal
import struct
import sys
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

# The formats' plug-ins are loaded before memory is limited, and so that no image waits for them.
from PIL import (  # noqa: F401
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from neardup.embedder.decode import decode
from neardup.errors import InvalidImageError

__all__ = ["PICTURE", "REFUSED", "SIZE", "answer", "main"]

PICTURE: Final = b"p"
REFUSED: Final = b"r"
SIZE: Final = struct.Struct("<II")

_ORPHAN_SECONDS: Final = 5


def answer(data: bytes, *, side: int, max_pixels: int, memory_mb: int) -> bytes:
    """PICTURE, width and height (SIZE) and the RGB bytes; or REFUSED and the reason in UTF-8."""
    try:
        image = decode(data, side=side, max_pixels=max_pixels)
        return PICTURE + SIZE.pack(*image.size) + image.tobytes()
    except InvalidImageError as exc:
        reason = exc.reason
        if isinstance(exc.__cause__, MemoryError):
            reason = f"needs more than {memory_mb} MB to decode"
        return REFUSED + reason.encode(errors="replace")
    except MemoryError:
        return REFUSED + f"needs more than {memory_mb} MB to decode".encode()


def main() -> None:
    """Decode until the other side hangs up. Arguments: descriptor, time limit, memory limit, pixel limit."""
    descriptor, memory_mb, max_pixels = (int(text) for text in (sys.argv[1], sys.argv[3], sys.argv[4]))
    seconds = float(sys.argv[2])
    # Ctrl-C is for the process that asked.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Image.MAX_IMAGE_PIXELS = max_pixels
    _limit_memory(memory_mb)
    # The codecs' own remarks about damaged files are no news for a user.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with Connection(descriptor) as connection:
        connection.send_bytes(b"")
        while True:
            try:
                side = int(connection.recv_bytes())
                data = connection.recv_bytes()
            except EOFError:
                return
            # The other side ends a decoder that takes too long; this ends one whose other side is gone.
            signal.alarm(ceil(seconds) + _ORPHAN_SECONDS)
            connection.send_bytes(answer(data, side=side, max_pixels=max_pixels, memory_mb=memory_mb))
            signal.alarm(0)


def _limit_memory(megabytes: int) -> None:
    """From here on the process may map so much more, and leaves no core file. Linux says what it has mapped so far;
    elsewhere there is no limit of memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sizes = Path("/proc/self/statm")
    if sizes.exists():
        mapped = int(sizes.read_text().split()[0]) * resource.getpagesize()
        limit = mapped + megabytes * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
