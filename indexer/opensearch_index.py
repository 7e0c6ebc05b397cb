"""The index as a projection of the ledger, on OpenSearch."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from opensearchpy import OpenSearch

from neardup.crashpoints import crash_point
from neardup.errors import SearchUnavailableError
from neardup.types import ImageId, IndexedImage, Position
from opensearch_templates.connection import part_failed, search_errors
from opensearch_templates.documents import document_of_image
from opensearch_templates.names import IndexNames
from opensearch_templates.positions import read_generation, read_position, write_position

__all__ = ["OpenSearchImageIndex", "OpenSearchIndexCopy"]

_ACTIONS_A_REQUEST = 500
_STALE = 409
_ABSENT = 404


class OpenSearchImageIndex:
    """The port ImageIndex. The seq of a write is the document's external version, so an older write never wins."""

    def __init__(self, client: OpenSearch, names: IndexNames) -> None:
        self._client = client
        self._names = names

    def position(self) -> Position:
        return read_position(self._client, self._names)

    def apply(self, images: Sequence[IndexedImage], removed: Sequence[ImageId], *, upto: Position) -> None:
        # Before writing: should another index take the place of this one meanwhile, the position is refused.
        generation = read_generation(self._client, self._names)
        actions = _actions(images, removed, upto.seq)
        _bulk(self._client, self._names.write, actions, alias=True)
        if actions:
            crash_point("project.index-written")
            _refresh(self._client, self._names.write)
            crash_point("project.index-refreshed")
        write_position(self._client, self._names, upto, generation=generation)


class OpenSearchIndexCopy:
    """Writes to an index that is not searched yet, by its name. Raises SearchUnavailableError."""

    def __init__(self, client: OpenSearch, index: str) -> None:
        self._client = client
        self._index = index

    def write(self, images: Sequence[IndexedImage], removed: Sequence[ImageId], *, seq: int) -> None:
        """Write and remove images; what is removed is removed as of this seq."""
        _bulk(self._client, self._index, _actions(images, removed, seq), alias=False)

    def refresh(self) -> None:
        """Make what was written searchable on every shard copy."""
        _refresh(self._client, self._index)


def _actions(images: Sequence[IndexedImage], removed: Sequence[ImageId], seq: int) -> list[str]:
    return [*map(_write_action, images), *(_remove_action(image_id, seq) for image_id in removed)]


def _bulk(client: OpenSearch, index: str, actions: Sequence[str], *, alias: bool) -> None:
    params = {"require_alias": "true"} if alias else {}
    for start in range(0, len(actions), _ACTIONS_A_REQUEST):
        body = "".join(actions[start : start + _ACTIONS_A_REQUEST])
        with search_errors("writing images"):
            answer = client.bulk(index=index, body=body, params=params)
        if answer["errors"]:
            for failure in _failures(answer["items"]):
                raise part_failed("writing images", failure["error"])


def _refresh(client: OpenSearch, index: str) -> None:
    with search_errors("refreshing the index"):
        shards = client.indices.refresh(index=index)["_shards"]
    if shards["failed"]:
        raise SearchUnavailableError(f"OpenSearch: a shard copy was not refreshed: {shards}")


def _write_action(image: IndexedImage) -> str:
    header = {"index": {"_id": image.image_id, "version": image.seq, "version_type": "external_gte"}}
    return f"{json.dumps(header)}\n{json.dumps(document_of_image(image))}\n"


def _remove_action(image_id: ImageId, seq: int) -> str:
    header = {"delete": {"_id": image_id, "version": seq, "version_type": "external_gte"}}
    return f"{json.dumps(header)}\n"


def _failures(items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The items that neither succeeded nor were overtaken by a newer write nor removed what was not there."""
    for item in items:
        (operation, outcome), *_ = item.items()
        harmless = outcome["status"] == _STALE or (operation == "delete" and outcome["status"] == _ABSENT)
        if outcome["status"] >= 300 and not harmless:
            yield outcome
