"""Images out of Debian packages and Qt resource files, with Python only.

For training: `neardup train images` unpacks what `apt-get download` fetched. Nothing is installed or executed.
"""

import struct
import tarfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from lzma import LZMAError
from pathlib import Path
from typing import Final

from neardup.errors import ConfigError

__all__ = ["images_in"]

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")

_DIRECTORY: Final = 0x02
_ZLIB: Final = 0x01
_ZSTD: Final = 0x04


def images_in(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name inside the archive and bytes of every image in a .deb or .rcc file, .rcc files inside a .deb included.

    Raises ConfigError for a file that is neither, and for a .deb whose data are not in gzip, bzip2 or xz.
    """
    data = path.read_bytes()
    if data.startswith(b"!<arch>\n"):
        yield from _deb(data, path)
    elif data.startswith(b"qres"):
        yield from _rcc(data, path.name)
    else:
        raise ConfigError(f"{path}: neither a Debian package nor a Qt resource file")


def _deb(data: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=BytesIO(_ar_member(data, "data.tar"))) as archive:
            yield from _tar(archive)
    except (KeyError, ValueError, EOFError, LZMAError, zlib.error, tarfile.TarError) as exc:
        raise ConfigError(f"{path}: no data.tar in gzip, bzip2 or xz") from exc


def _tar(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        name = member.name.removeprefix("./")
        stream = archive.extractfile(member) if member.isfile() else None
        if stream is None:
            continue
        if name.lower().endswith(SUFFIXES):
            yield name, stream.read()
        elif name.endswith(".rcc"):
            yield from _rcc(stream.read(), name)


def _ar_member(data: bytes, prefix: str) -> bytes:
    offset = 8
    while offset + 60 <= len(data):
        name = data[offset : offset + 16].decode("ascii").strip()
        size = int(data[offset + 48 : offset + 58])
        if name.startswith(prefix):
            return data[offset + 60 : offset + 60 + size]
        offset += 60 + size + size % 2
    raise KeyError(prefix)


def _rcc(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """The tree of a Qt resource file: nodes of a name, flags, and children or data, all big-endian."""
    version, tree, payload, names = struct.unpack_from(">4I", data, 4)
    node_size = 22 if version >= 2 else 14

    def walk(index: int, parent: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * node_size
        name_at, flags, first, second = struct.unpack_from(">IHII", data, at)
        (length,) = struct.unpack_from(">H", data, names + name_at)
        own = data[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be")
        full = f"{parent}/{own}" if index else parent
        if flags & _DIRECTORY:
            for child in range(second, second + first):
                yield from walk(child, full)
        elif full.lower().endswith(SUFFIXES) and not flags & _ZSTD:
            (size,) = struct.unpack_from(">I", data, payload + second)
            start = payload + second + 4
            raw = data[start : start + size]
            yield full, zlib.decompress(raw[4:]) if flags & _ZLIB else raw

    yield from walk(0, name)
