"""Create, compare and drop the indices of a namespace."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError, RequestError

from neardup.errors import IncompatibleIndexError
from neardup.lsh import default_tables
from neardup.settings import Settings
from opensearch_templates.connection import search_errors
from opensearch_templates.names import IndexNames, LedgerIndexNames, namespace_prefix, projections_index

__all__ = ["check_index", "check_versions", "drop_namespace", "load_template", "setup_index", "template_body"]


_CLAUSE_LIMIT = "indices.query.bool.max_clause_count"
_OTHER_CLAUSES = 16
_FIXED = frozenset({"index.number_of_shards", "index.number_of_replicas", "index.codec"})
"""Fixed when the index is created, or the operator's own."""


def load_template(name: str) -> dict[str, Any]:
    """The JSON file `name`.json of this package."""
    text = (files("opensearch_templates") / "templates" / f"{name}.json").read_text(encoding="utf-8")
    body: dict[str, Any] = json.loads(text)
    return body


def template_body(settings: Settings, lsh_version: str) -> dict[str, Any]:
    """The composable index template of one lsh_version, as it is sent to OpenSearch."""
    body = load_template("images")
    body["index_patterns"] = [IndexNames(settings.namespace, lsh_version).pattern]
    body["priority"] = 200
    body["template"]["settings"]["index"] |= {
        "number_of_shards": settings.opensearch.shards,
        "number_of_replicas": settings.opensearch.replicas,
    }
    body["template"]["mappings"]["_meta"]["lsh_version"] = lsh_version
    return body


def setup_index(
    client: OpenSearch, settings: Settings, lsh_version: str, *, words: int = 0, dry_run: bool = False
) -> list[str]:
    """Create what is missing, put right what drifted: template, index with its aliases, its settings, the projections
    index, the index of the ledger. `words`: how many an image may have. Returns the changes, one line each.

    A probe with more terms than the cluster's clause limit raises that limit. Shards and replicas of an existing index
    are left alone. Raises IncompatibleIndexError when the existing index has another mapping, SearchUnavailableError.
    """
    changes: list[str] = []
    with search_errors("setting up the index"):
        for change, make in _missing(client, settings, lsh_version, words):
            changes.append(change)
            if not dry_run:
                make()
    return changes


def _missing(
    client: OpenSearch, settings: Settings, lsh_version: str, words: int
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is not as it must be, with what mends it."""
    names, projections = IndexNames(settings.namespace, lsh_version), projections_index(settings.namespace)
    body = template_body(settings, lsh_version)
    tables = settings.lsh.tables or default_tables(words)
    clauses = tables * (1 + settings.search.probes) + words + _OTHER_CLAUSES
    if clauses > _clause_limit(client):
        raised = {"persistent": {_CLAUSE_LIMIT: clauses}}
        yield f"cluster setting {_CLAUSE_LIMIT}: {clauses}", partial(client.cluster.put_settings, body=raised)
    if not _template_is_current(client, names.stem, body):
        put = partial(client.indices.put_index_template, name=names.stem, body=body)
        yield f"index template {names.stem}: version {body['version']}", put
    if not client.indices.exists(index=projections):
        small = load_template("projections")
        small["settings"]["index"]["number_of_replicas"] = settings.opensearch.replicas
        yield f"index {projections}", partial(_create, client, projections, small)
    yield from _missing_ledger(client, settings, projections)
    if client.indices.exists_alias(name=names.read):
        check_index(client, settings, lsh_version)
        for setting, (wanted, found) in _drifted_settings(client, names, body).items():
            change = f"setting {setting} of {names.index}: {wanted} instead of {found}"
            yield change, partial(client.indices.put_settings, index=names.read, body={setting: wanted})
    else:
        create = partial(_create_behind_aliases, client, names, projections)
        yield f"index {names.index} with aliases {names.read}, {names.write}", create


def _missing_ledger(
    client: OpenSearch, settings: Settings, projections: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    ledger = LedgerIndexNames(settings.namespace)
    body = load_template("ledger")
    if client.indices.exists(index=ledger.index):
        found = client.indices.get_mapping(index=ledger.index)[ledger.index]["mappings"]
        wanted = body["mappings"]["_meta"]
        if found.get("_meta") != wanted:
            raise IncompatibleIndexError(
                f"index {ledger.index}: _meta is {found.get('_meta')!r}, this version needs {wanted!r}; "
                "delete the index, then: neardup setup"
            )
        return
    body["settings"]["index"] |= {
        "number_of_shards": settings.opensearch.shards,
        "number_of_replicas": settings.opensearch.replicas,
    }

    def create() -> None:
        _forget_position(client, projections, ledger.read)
        _create(client, ledger.index, body)

    yield f"index {ledger.index}", create


def _create_behind_aliases(client: OpenSearch, names: IndexNames, projections: str) -> None:
    _forget_position(client, projections, names.read)
    aliases: dict[str, Any] = {names.read: {}, names.write: {"is_write_index": True}}
    _create(client, names.index, {"aliases": aliases})


def _forget_position(client: OpenSearch, projections: str, name: str) -> None:
    # A position that outlived its index would claim decisions that the new one does not hold.
    client.delete(index=projections, id=name, params={"refresh": "true"}, ignore=404)


def check_index(client: OpenSearch, settings: Settings, lsh_version: str) -> None:
    """Raises IncompatibleIndexError unless the index exists with this mapping and lsh_version."""
    names = IndexNames(settings.namespace, lsh_version)
    wanted = template_body(settings, lsh_version)["template"]["mappings"]
    with search_errors("reading the mapping"):
        try:
            found = client.indices.get_mapping(index=names.read)
        except NotFoundError as exc:
            raise IncompatibleIndexError(f"no index {names.read}; create it with: neardup setup") from exc
    for index, content in found.items():
        for part in ("_meta", "dynamic", "_source", "properties"):
            if content["mappings"].get(part) != wanted[part]:
                raise IncompatibleIndexError(
                    f"index {index}: {part} is {content['mappings'].get(part)!r}, this version needs {wanted[part]!r}"
                )


def check_versions(client: OpenSearch, namespace: str, lsh_version: str) -> None:
    """Raises IncompatibleIndexError when the namespace has no index of this lsh_version yet, but one of another that
    holds images: terms of two versions never meet, and the ledger belongs to the first."""
    with search_errors("reading the indices"):
        if client.indices.exists_alias(name=IndexNames(namespace, lsh_version).read):
            return
        found = client.indices.get_mapping(index=f"{namespace_prefix(namespace)}*")
        for index, content in sorted(found.items()):
            other = content["mappings"].get("_meta", {}).get("lsh_version")
            if other is None:
                continue
            images = int(client.count(index=index)["count"])
            if images:
                raise IncompatibleIndexError(
                    f"namespace {namespace}: index {index} holds {images} images of lsh_version {other}, the settings "
                    f"make {lsh_version} (embedder, LSH settings, fitted model); set them back or use another "
                    "namespace"
                )


def drop_namespace(client: OpenSearch, namespace: str) -> list[str]:
    """Delete all indices and templates whose name starts with `{namespace}-`; returns their names."""
    pattern = f"{namespace_prefix(namespace)}*"
    with search_errors(f"dropping the namespace {namespace}"):
        indices = sorted(client.indices.get(index=pattern, params={"expand_wildcards": "all"}))
        found = client.indices.get_index_template(name=pattern, ignore=404)
        templates = sorted(template["name"] for template in found["index_templates"])
        for index in indices:
            client.indices.delete(index=index, ignore=404)
        for template in templates:
            client.indices.delete_index_template(name=template, ignore=404)
    return indices + templates


def _create(client: OpenSearch, index: str, body: dict[str, Any]) -> None:
    """Create an index; somebody who sets up at the same moment may be quicker."""
    try:
        client.indices.create(index=index, body=body)
    except RequestError as exc:
        if exc.error != "resource_already_exists_exception":
            raise


def _clause_limit(client: OpenSearch) -> int:
    found = client.cluster.get_settings(params={"include_defaults": "true", "flat_settings": "true"})
    values = {**found["defaults"], **found["persistent"], **found["transient"]}
    return int(values[_CLAUSE_LIMIT])


def _template_is_current(client: OpenSearch, name: str, body: dict[str, Any]) -> bool:
    try:
        found = client.indices.get_index_template(name=name)["index_templates"][0]["index_template"]
    except NotFoundError:
        return False
    return bool(
        found.get("version") == body["version"]
        and found["template"]["mappings"] == body["template"]["mappings"]
        and _flat(found["template"]["settings"]) == _flat(body["template"]["settings"])
    )


def _drifted_settings(client: OpenSearch, names: IndexNames, body: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """The settings that can be changed on an open index and are not those of the template: wanted and found value."""
    wanted = {name: value for name, value in _flat(body["template"]["settings"]).items() if name not in _FIXED}
    drifted: dict[str, tuple[str, str | None]] = {}
    for content in client.indices.get_settings(index=names.read).values():
        found = _flat(content["settings"])
        drifted |= {name: (value, found.get(name)) for name, value in wanted.items() if found.get(name) != value}
    return drifted


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as dotted names with texts, however they were nested and typed."""
    flat: dict[str, str] = {}
    for name, value in nested.items():
        dotted = f"{prefix}{name}"
        flat |= _flat(value, f"{dotted}.") if isinstance(value, Mapping) else {dotted: str(value)}
    return flat
