"""Reading an index to check it: every id it holds, and whether searches really find what they should."""

from collections.abc import Iterator, Sequence
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.helpers import scan

from neardup.lsh import terms
from neardup.types import ImageId, IndexedImage
from opensearch_templates.connection import search_errors
from opensearch_templates.multi_search import multi_search
from opensearch_templates.names import IndexNames

__all__ = ["found_by_terms", "indexed_ids", "terms_body"]

_IDS_AT_ONCE = 5_000
_SEARCHES_AT_ONCE = 100


def indexed_ids(client: OpenSearch, names: IndexNames) -> Iterator[ImageId]:
    """The id of every document, searchable or not, in no stated order. Raises SearchUnavailableError."""
    body = {"query": {"match_all": {}}, "stored_fields": "_none_", "docvalue_fields": ["id"]}
    with search_errors("reading the ids of the index"):
        for document in scan(client, query=body, index=names.read, size=_IDS_AT_ONCE, _source=False):
            yield ImageId(document["fields"]["id"][0])


def terms_body(image: IndexedImage) -> dict[str, Any]:
    """The search body that counts the image if it has all of its terms."""
    every = {"match": {"terms": {"query": " ".join(terms(image.code)), "operator": "and"}}}
    conditions = [{"ids": {"values": [image.image_id]}}, every]
    return {"query": {"bool": {"filter": conditions}}, "size": 0, "track_total_hits": True}


def found_by_terms(client: OpenSearch, names: IndexNames, images: Sequence[IndexedImage]) -> dict[ImageId, bool]:
    """Whether a search for all terms of an image finds it. Raises SearchUnavailableError."""
    found: dict[ImageId, bool] = {}
    for start in range(0, len(images), _SEARCHES_AT_ONCE):
        part = images[start : start + _SEARCHES_AT_ONCE]
        answers = multi_search(
            client,
            names.read,
            [terms_body(image) for image in part],
            doing="searching for the terms of images",
            wanted=["hits.total"],
        )
        for image, answer in zip(part, answers, strict=True):
            found[image.image_id] = bool(answer["hits"]["total"]["value"])
    return found
