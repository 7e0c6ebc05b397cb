"""What an index holds and how it lies on disk; merging its segments."""

from dataclasses import dataclass

from opensearchpy import OpenSearch

from neardup.errors import SearchUnavailableError
from opensearch_templates.connection import search_errors
from opensearch_templates.names import IndexNames
from opensearch_templates.positions import read_position

__all__ = ["IndexStatus", "index_status", "merge_segments"]

_MERGE_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """`images` can be read by id, `searchable` of them are found by searches. `seq`: decisions up to this one are in
    it. `segments` and `bytes_on_disk` are those of the primary shards."""

    index: str
    seq: int
    images: int
    searchable: int
    segments: int
    bytes_on_disk: int


def index_status(client: OpenSearch, names: IndexNames) -> IndexStatus:
    """The state of the index behind the read alias. Raises SearchUnavailableError, IncompatibleIndexError when there is
    none."""
    with search_errors("reading the state of the index"):
        stats = client.indices.stats(index=names.read, metric=["docs", "store", "segments"])["_all"]["primaries"]
        withheld = client.count(index=names.read, body={"query": {"term": {"withheld": True}}})["count"]
    images = int(stats["docs"]["count"])
    return IndexStatus(
        index=names.index,
        seq=read_position(client, names).seq,
        images=images,
        searchable=images - int(withheld),
        segments=int(stats["segments"]["count"]),
        bytes_on_disk=int(stats["store"]["size_in_bytes"]),
    )


def merge_segments(client: OpenSearch, names: IndexNames, segments: int) -> None:
    """Merge every shard into at most `segments`; returns when that is done. Raises SearchUnavailableError."""
    with search_errors("merging the index"):
        shards = client.indices.forcemerge(
            index=names.write, params={"max_num_segments": segments}, request_timeout=_MERGE_SECONDS
        )["_shards"]
        # Until a refresh, searches go on reading the segments that were merged.
        client.indices.refresh(index=names.write)
    if shards["failed"]:
        raise SearchUnavailableError(f"OpenSearch: a shard was not merged: {shards}")
