"""An OpenSearch of the benchmark's own, in a folder that is removed afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neardup.engines import supervisor
from neardup.engines.state import read_state
from neardup.settings import OpenSearchSettings, Settings, load_settings

__all__ = ["own_opensearch"]

_TIMEOUT_SECONDS = 120.0


@contextmanager
def own_opensearch(namespace: str) -> Iterator[Settings]:
    """The settings of a namespace on a new local OpenSearch; downloads come from the usual cache."""
    usual = load_settings()
    with tempfile.TemporaryDirectory(prefix="neardup-bench-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        settings = usual.model_copy(
            update={
                "namespace": namespace,
                "local": usual.local.model_copy(update={"home": Path(home), "opensearch_port": None}),
            }
        )
        try:
            supervisor.start(settings, ["opensearch"])
            port = read_state(Path(home)).processes["opensearch"].port
            opensearch = OpenSearchSettings(url=f"http://127.0.0.1:{port}", timeout_seconds=_TIMEOUT_SECONDS)
            yield settings.model_copy(update={"opensearch": opensearch})
        finally:
            supervisor.down(settings, ["opensearch"])
