"""A new index beside the one that is searched, and the moment in which it takes its place.

While the position is held, nobody reads or writes it: the projector and the proposers wait. An index is known by its
number; a write of the position that began with another one is refused, since its documents went to the other index.
"""

from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError

from neardup.errors import SearchUnavailableError
from neardup.types import Position
from opensearch_templates.connection import search_errors
from opensearch_templates.documents import position_of_document
from opensearch_templates.names import IndexNames, projections_index

__all__ = ["abandon_others", "begin_index", "hold_position", "settle_switch", "switch_index"]

_ATTEMPTS: Final = 50
_SWITCH_FIELDS: Final = {"generation": {"type": "long", "index": False}, "held": {"type": "long", "index": False}}


def begin_index(client: OpenSearch, names: IndexNames) -> str:
    """Create the next index beside the one behind the aliases, empty; returns its name. Those of attempts that were
    interrupted go. Raises SearchUnavailableError."""
    settle_switch(client, names)
    abandon_others(client, names)
    current = _current(client, names)
    new = f"{names.stem}-{_number(current) + 1:06d}"
    with search_errors("creating an index"):
        client.indices.put_mapping(index=projections_index(names.namespace), body={"properties": _SWITCH_FIELDS})
        client.indices.create(index=new)
    return new


def hold_position(client: OpenSearch, names: IndexNames, new: str) -> Position:
    """Nobody moves the position from now on, until `switch_index` or `settle_switch`; returns it. Raises
    SearchUnavailableError."""
    place = {"index": projections_index(names.namespace), "id": names.read}
    with search_errors("holding the position"):
        for _ in range(_ATTEMPTS):
            found = client.get(**place, ignore=404)
            body: dict[str, Any] = dict(found["_source"]) if found.get("found") else _zero()
            unchanged: dict[str, Any] = {"op_type": "create"}
            if found.get("found"):
                unchanged = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
            try:
                client.index(**place, body=body | {"held": _number(new)}, params=unchanged)
            except ConflictError:
                continue
            return position_of_document(body)
    raise SearchUnavailableError(f"OpenSearch: the position was written by somebody else {_ATTEMPTS} times")


def switch_index(client: OpenSearch, names: IndexNames, new: str) -> None:
    """Put the new index behind both aliases, in one step, and let the position go; the old index is deleted. The new
    one must hold everything up to the position that is held. Raises SearchUnavailableError."""
    old = _current(client, names)
    actions = [
        {"remove": {"index": old, "alias": names.read}},
        {"remove": {"index": old, "alias": names.write}},
        {"add": {"index": new, "alias": names.read}},
        {"add": {"index": new, "alias": names.write, "is_write_index": True}},
    ]
    with search_errors("switching to the new index"):
        client.indices.update_aliases(body={"actions": actions})
    settle_switch(client, names)
    abandon_others(client, names)


def settle_switch(client: OpenSearch, names: IndexNames) -> None:
    """Let a held position go, whichever index is behind the aliases: both held everything up to it. Idempotent."""
    place = {"index": projections_index(names.namespace), "id": names.read}
    generation = _number(_current(client, names))
    with search_errors("releasing the position"):
        found = client.get(**place, ignore=404)
        if not found.get("found") or not found["_source"].get("held"):
            return
        body = {name: value for name, value in found["_source"].items() if name != "held"}
        client.index(**place, body=body | {"generation": generation})


def abandon_others(client: OpenSearch, names: IndexNames) -> None:
    """Delete the indices of these names that are not behind the aliases."""
    current = _current(client, names)
    with search_errors("deleting an index"):
        for index in sorted(client.indices.get(index=names.pattern)):
            if index != current:
                client.indices.delete(index=index, ignore=404)


def _current(client: OpenSearch, names: IndexNames) -> str:
    with search_errors("reading the aliases"):
        (index,) = client.indices.get_alias(name=names.read)
    return str(index)


def _number(index: str) -> int:
    return int(index.rpartition("-")[2])


def _zero() -> dict[str, Any]:
    return {"seq": 0, "ledger_offset": -1, "proposal_offset": -1}
