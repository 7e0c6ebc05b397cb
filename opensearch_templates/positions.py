"""The position document of an index: how far it has come, read in real time."""

from collections.abc import Mapping
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError

from neardup.errors import SearchUnavailableError
from neardup.types import Position
from opensearch_templates.connection import search_errors
from opensearch_templates.documents import document_of_position, position_of_document
from opensearch_templates.names import PositionNames, projections_index

__all__ = ["read_generation", "read_position", "write_position"]

_ATTEMPTS = 5


def read_position(client: OpenSearch, names: PositionNames) -> Position:
    """The recorded position; the zero position when there is none. Raises SearchUnavailableError."""
    with search_errors("reading the position"):
        found = client.get(index=projections_index(names.namespace), id=names.read, ignore=404)
    return position_of_document(_source(found)) if found.get("found") else Position()


def read_generation(client: OpenSearch, names: PositionNames) -> int:
    """The number of the index that the position belongs to; see `switching`. Raises SearchUnavailableError."""
    with search_errors("reading the position"):
        found = client.get(index=projections_index(names.namespace), id=names.read, ignore=404)
    return int(_source(found).get("generation", 1)) if found.get("found") else 1


def write_position(client: OpenSearch, names: PositionNames, position: Position, *, generation: int = 1) -> None:
    """Record a position; an older one than the recorded changes nothing. `generation`: that of the index when writing
    to it began. Raises SearchUnavailableError, also when another index has taken its place since.

    Compared and set by the document's sequence number. Not by an external version: those outlive the document, and the
    position of a new index starts again at 0.
    """
    place = {"index": projections_index(names.namespace), "id": names.read}
    with search_errors("recording the position"):
        for _ in range(_ATTEMPTS):
            found = client.get(**place, ignore=404)
            kept = _source(found) if found.get("found") else {}
            if kept.get("generation", 1) != generation:
                raise SearchUnavailableError("OpenSearch: another index has taken the place of the one written to")
            if not kept:
                unchanged: dict[str, Any] = {"op_type": "create"}
            elif position_of_document(kept).seq > position.seq:
                return
            else:
                unchanged = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
            try:
                client.index(**place, body=kept | document_of_position(position), params=unchanged)
            except ConflictError:
                continue
            return
    raise SearchUnavailableError(f"OpenSearch: the position was written by somebody else {_ATTEMPTS} times")


def _source(found: Mapping[str, Any]) -> dict[str, int]:
    source: dict[str, int] = found["_source"]
    if source.get("held"):
        raise SearchUnavailableError("OpenSearch: another index is taking the place of this one")
    return source
