"""The position document of an index: how far it has come, read in real time."""

from opensearchpy import OpenSearch

from neardup.types import Position
from opensearch_templates.connection import search_errors
from opensearch_templates.documents import document_of_position, position_of_document
from opensearch_templates.names import IndexNames, projections_index

__all__ = ["read_position", "write_position"]


def read_position(client: OpenSearch, names: IndexNames) -> Position:
    """The recorded position; the zero position when there is none. Raises SearchUnavailableError."""
    with search_errors("reading the position"):
        found = client.get(index=projections_index(names.namespace), id=names.read, ignore=404)
    return position_of_document(found["_source"]) if found.get("found") else Position()


def write_position(client: OpenSearch, names: IndexNames, position: Position) -> None:
    """Record a position; an older one than the recorded changes nothing. Raises SearchUnavailableError."""
    with search_errors("recording the position"):
        client.index(
            index=projections_index(names.namespace),
            id=names.read,
            body=document_of_position(position),
            params={"version": position.seq, "version_type": "external_gte"},
            ignore=409,
        )
