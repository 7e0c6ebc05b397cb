"""Loading much at once: less merging meanwhile, one merge at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opensearchpy import OpenSearch

from opensearch_templates.connection import search_errors
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import load_template
from opensearch_templates.status import merge_segments

__all__ = ["bulk_loading"]

_WHILE_LOADING = {"index.merge.policy.segments_per_tier": 20, "index.translog.flush_threshold_size": "2gb"}
"""Writes stay durable before they are acknowledged: the position of the index must not outlive its images."""


@contextmanager
def bulk_loading(client: OpenSearch, names: IndexNames) -> Iterator[None]:
    """For the time of the block the index is merged little; afterwards into one segment a shard.

    Should the process be killed, the settings stay: `neardup setup` puts them right. Raises SearchUnavailableError,
    IncompatibleIndexError.
    """
    usual: dict[str, Any] = load_template("images")["template"]["settings"]["index"]
    with search_errors("preparing the index for loading"):
        client.indices.put_settings(index=names.write, body=_WHILE_LOADING)
    try:
        yield
    finally:
        restored = {name: usual[name.removeprefix("index.")] for name in _WHILE_LOADING}
        with search_errors("restoring the settings of the index"):
            client.indices.put_settings(index=names.write, body=restored)
    merge_segments(client, names, 1)
