"""Several searches in one request, all of them answered whole or none."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from neardup.errors import SearchUnavailableError
from opensearch_templates.connection import part_failed, search_errors

__all__ = ["multi_search"]

_STATE = "responses.error,responses.timed_out,responses._shards"


def multi_search(
    client: OpenSearch, index: str, bodies: Sequence[Mapping[str, Any]], *, doing: str, wanted: Sequence[str]
) -> list[Mapping[str, Any]]:
    """The answer to each body; `wanted`: the parts of answers that the caller reads, such as `hits.total`.

    Raises SearchUnavailableError, also when OpenSearch answered one of them for a part of its shards only, and
    IncompatibleIndexError.
    """
    header = json.dumps({"index": index, "allow_partial_search_results": False})
    lines = [line for body in bodies for line in (header, json.dumps(body))]
    parts = ",".join((_STATE, *(f"responses.{part}" for part in wanted)))
    with search_errors(doing):
        answer = client.msearch(body="\n".join(lines) + "\n", params={"filter_path": parts})
    responses: list[Mapping[str, Any]] = answer["responses"]
    for each in responses:
        if "error" in each:
            raise part_failed(doing, each["error"])
        if each["timed_out"] or each["_shards"]["failed"]:
            raise SearchUnavailableError(f"OpenSearch answered for a part of its shards only: {each['_shards']}")
    return responses
