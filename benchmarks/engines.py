"""Engines of a benchmark's own, in a folder that is removed afterwards."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from neardup.engines import supervisor
from neardup.engines.state import read_state
from neardup.settings import Settings, load_settings

__all__ = ["own_engines"]

_TIMEOUT_SECONDS = 120.0


@contextmanager
def own_engines(namespace: str, names: Sequence[str]) -> Iterator[Settings]:
    """The settings of a namespace on new local engines of these names; downloads come from the usual cache.

    Requests may take two minutes: what is slow is measured and not cut off.
    """
    usual = load_settings()
    with tempfile.TemporaryDirectory(prefix="neardup-bench-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        local = usual.local.model_copy(
            update={"home": Path(home)} | {f"{engine}_port": None for engine in supervisor.ENGINES}
        )
        settings = usual.model_copy(update={"namespace": namespace, "local": local})
        try:
            supervisor.start(settings, names)
            ports = {name: process.port for name, process in read_state(Path(home)).processes.items()}
            yield settings.model_copy(update=_addresses(settings, ports))
        finally:
            supervisor.down(settings, names)


def _addresses(settings: Settings, ports: dict[str, int]) -> dict[str, object]:
    forms = {
        "opensearch": "http://127.0.0.1:{}",
        "janusgraph": "ws://127.0.0.1:{}/gremlin",
        "redis": "redis://127.0.0.1:{}/0",
    }
    groups = {}
    for name, port in ports.items():
        url = forms[name].format(port)
        groups[name] = getattr(settings, name).model_copy(
            update={"url": SecretStr(url) if name == "redis" else url}
            | ({} if name == "redis" else {"timeout_seconds": _TIMEOUT_SECONDS})
        )
    return groups
