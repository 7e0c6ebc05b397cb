"""Engines of the benchmark's own, in a folder that is removed afterwards."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from neardup.engines import supervisor
from neardup.engines.state import read_state
from neardup.settings import OpenSearchSettings, Settings, load_settings

__all__ = ["own_engines", "own_opensearch"]

_TIMEOUT_SECONDS = 120.0


@contextmanager
def own_engines(namespace: str, names: Sequence[str] = ()) -> Iterator[Settings]:
    """The settings of a namespace on new local engines, all of them or those named; downloads come from the usual
    cache."""
    usual = load_settings()
    with tempfile.TemporaryDirectory(prefix="neardup-bench-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        ports = {name: None for name in type(usual.local).model_fields if name.endswith("_port")}
        local = usual.local.model_copy(update={"home": Path(home), **ports})
        settings = usual.model_copy(update={"namespace": namespace, "local": local})
        try:
            supervisor.start(settings, names)
            yield settings
        finally:
            supervisor.down(settings, names)


@contextmanager
def own_opensearch(namespace: str) -> Iterator[Settings]:
    """The settings of a namespace on a new local OpenSearch, with a long time-out."""
    with own_engines(namespace, ["opensearch"]) as settings:
        port = read_state(settings.local.home).processes["opensearch"].port
        opensearch = OpenSearchSettings(url=f"http://127.0.0.1:{port}", timeout_seconds=_TIMEOUT_SECONDS)
        yield settings.model_copy(update={"opensearch": opensearch})
