"""The position document of an index: how far it has come, read in real time."""

from opensearchpy import OpenSearch

from neardup.types import Position
from opensearch_templates.connection import search_errors
from opensearch_templates.documents import document_of_position, position_of_document
from opensearch_templates.names import IndexNames, projections_index

__all__ = ["read_position", "write_position"]

# Not an external version: those outlive the document, and the position of a new index starts again at 0.
_FORWARD_ONLY = """
if (params.position.seq >= ctx._source.seq) { ctx._source.putAll(params.position) } else { ctx.op = 'none' }
"""


def read_position(client: OpenSearch, names: IndexNames) -> Position:
    """The recorded position; the zero position when there is none. Raises SearchUnavailableError."""
    with search_errors("reading the position"):
        found = client.get(index=projections_index(names.namespace), id=names.read, ignore=404)
    return position_of_document(found["_source"]) if found.get("found") else Position()


def write_position(client: OpenSearch, names: IndexNames, position: Position) -> None:
    """Record a position; an older one than the recorded changes nothing. Raises SearchUnavailableError."""
    document = document_of_position(position)
    script = {"source": _FORWARD_ONLY, "params": {"position": document}}
    with search_errors("recording the position"):
        client.update(
            index=projections_index(names.namespace),
            id=names.read,
            body={"script": script, "upsert": document},
            params={"retry_on_conflict": 5},
        )
