"""Free ports on 127.0.0.1."""

import errno
import secrets
import socket
from collections.abc import Callable, Collection
from contextlib import suppress

import psutil

from neardup.errors import ConfigError

__all__ = ["choose_port", "is_free", "is_listening", "owner_of"]

_LOWEST, _HIGHEST = 15_000, 30_000
"""Below the range (32768 on) from which Linux takes the local ports of outgoing connections."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now. Raises ConfigError when this user may not use it at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
            server.listen(1)
        except PermissionError as exc:
            raise ConfigError(f"port {port} is reserved for root; choose one above 1023") from exc
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def choose_port(
    *,
    setting: str,
    pinned: int | None,
    remembered: int | None,
    taken: Collection[int],
    free: Callable[[int], bool] = is_free,
) -> int:
    """The pinned port, else the remembered one if it is free, else a free one that is not in `taken`.

    Raises ConfigError naming `setting` when the pinned port is in use, with the owner's pid when that can be known.
    """
    if pinned is not None:
        if pinned in taken:
            raise ConfigError(f"{setting}: port {pinned} is also given to another engine")
        if not free(pinned):
            raise ConfigError(f"{setting}: port {pinned} is in use{owner_of(pinned)}; free it or choose another")
        return pinned
    if remembered is not None and remembered not in taken and free(remembered):
        return remembered
    for _ in range(200):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port not in taken and free(port):
            return port
    raise ConfigError(f"no free port found between {_LOWEST} and {_HIGHEST}; pin one with {setting}")


def owner_of(port: int) -> str:
    """' by pid N (name)' for the process that listens on a port, or '' when this user cannot know it."""
    with suppress(psutil.Error, PermissionError):
        for connection in psutil.net_connections("inet"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f" by pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
