"""Engines of a benchmark's own, in a folder that is removed afterwards."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from neardup.engines import supervisor
from neardup.engines.state import read_state
from neardup.settings import Settings, load_settings

__all__ = ["own_engines", "own_home"]

_TIMEOUT_SECONDS = 120.0


@contextmanager
def own_home(names: Sequence[str] = (), *, home: Path | None = None) -> Iterator[Settings]:
    """The usual settings with new local engines of these names, or with all of them; downloads come from the usual
    cache. `home`: engines that live there instead, which are started if they do not run and go on afterwards."""
    usual = load_settings()
    if home is not None:
        settings = _at_home(usual, home)
        supervisor.start(settings, names)
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="neardup-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        settings = _at_home(usual, Path(folder), **{f"{engine}_port": None for engine in supervisor.ENGINES})
        try:
            supervisor.start(settings, names)
            yield settings
        finally:
            supervisor.down(settings, names)


@contextmanager
def own_engines(namespace: str, names: Sequence[str]) -> Iterator[Settings]:
    """The settings of a namespace on new local engines of these names, and on no others.

    Requests may take two minutes: what is slow is measured and not cut off.
    """
    with own_home(names) as usual:
        ports = {name: process.port for name, process in read_state(usual.local.home).processes.items()}
        settings = usual.model_copy(update={"namespace": namespace})
        yield settings.model_copy(update=_addresses(settings, ports))


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


def _at_home(settings: Settings, home: Path, **ports: None) -> Settings:
    return settings.model_copy(update={"local": settings.local.model_copy(update={"home": home, **ports})})
