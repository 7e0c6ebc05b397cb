"""The position document of an index: how far it has come, read in real time."""

from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError

from neardup.errors import SearchUnavailableError
from neardup.types import Position
from opensearch_templates.connection import search_errors
from opensearch_templates.documents import document_of_position, position_of_document
from opensearch_templates.names import PositionNames, projections_index

__all__ = ["read_position", "write_position"]

_ATTEMPTS = 5


def read_position(client: OpenSearch, names: PositionNames) -> Position:
    """The recorded position; the zero position when there is none. Raises SearchUnavailableError."""
    with search_errors("reading the position"):
        found = client.get(index=projections_index(names.namespace), id=names.read, ignore=404)
    return position_of_document(found["_source"]) if found.get("found") else Position()


def write_position(client: OpenSearch, names: PositionNames, position: Position) -> None:
    """Record a position; an older one than the recorded changes nothing. Raises SearchUnavailableError.

    Compared and set by the document's sequence number. Not by an external version: those outlive the document, and the
    position of a new index starts again at 0.
    """
    place = {"index": projections_index(names.namespace), "id": names.read}
    with search_errors("recording the position"):
        for _ in range(_ATTEMPTS):
            found = client.get(**place, ignore=404)
            if not found.get("found"):
                unchanged: dict[str, Any] = {"op_type": "create"}
            elif position_of_document(found["_source"]).seq > position.seq:
                return
            else:
                unchanged = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
            try:
                client.index(**place, body=document_of_position(position), params=unchanged)
            except ConflictError:
                continue
            return
    raise SearchUnavailableError(f"OpenSearch: the position was written by somebody else {_ATTEMPTS} times")
