"""The query that ranks a corpus by term overlap, and how its answer is cut. Pure: bodies in, values out.

Every shared term adds exactly 1.0, so OpenSearch's own "score" is the term overlap and no IDF, norm or document length
gets in. One document more than the limit is asked for: it tells whether anything was left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
from elasticsearch_dsl import Q, Search

from neardup.ports import LARGEST_LIMIT
from neardup.types import CandidateList, Half, ImageId, Probe, SearchFilter
from opensearch_templates.documents import IMAGE_FIELDS, hits_of, label

__all__ = [
    "ANSWER",
    "CANDIDATES_A_REQUEST",
    "candidate_list",
    "count_bodies",
    "found",
    "images_body",
    "indexed_body",
    "overlap_body",
]

CANDIDATES_A_REQUEST = 8_000
"""The most candidates asked for at once, by as many probes as that gives."""
ANSWER: Final = ("took", "hits.total", "hits.hits.sort", "hits.hits.fields")
"""What is read of an answer."""


def overlap_body(probe: Probe, *, limit: int, minimum_overlap: int = 1) -> dict[str, Any]:
    """The search body of one probe: overlap descending, then older first, one more than `limit` asked for. Nothing but
    overlap and seq is told of them."""
    if not 1 <= limit <= LARGEST_LIMIT:
        raise ValueError(f"limit: {limit} is not between 1 and {LARGEST_LIMIT}")
    if minimum_overlap < 1:
        raise ValueError(f"minimum_overlap: {minimum_overlap} is not at least 1")
    return {**_around_overlap_query(limit, minimum_overlap), "query": _overlap_query(probe).to_dict()}


@cache
def _around_overlap_query(limit: int, minimum_overlap: int) -> dict[str, Any]:
    """What all bodies have in common. Made once: it takes longer than writing the query itself."""
    search = (
        Search()
        .sort({"_score": "desc"}, {"seq": "asc"})
        .source(False)
        .extra(size=limit + 1, track_total_hits=False, stored_fields="_none_")
    )
    if minimum_overlap > 1:
        # min_score rather than minimum_should_match, which is slower, three times where terms are frequent.
        search = search.extra(min_score=minimum_overlap)
    body: dict[str, Any] = search.to_dict()
    return body


def images_body(image_ids: Sequence[ImageId]) -> dict[str, Any]:
    """The search body that reads images by their ids."""
    return _reading(Q("ids", values=list(image_ids)), len(image_ids), IMAGE_FIELDS)


def indexed_body(seqs: Sequence[int]) -> dict[str, Any]:
    """The search body that reads id and score embedding by seq."""
    return _reading(Q("terms", seq=list(seqs)), len(seqs), ("id", "seq", "score"))


def _reading(query: Any, count: int, fields: Sequence[str]) -> dict[str, Any]:
    search = Search().query(query).source(False)
    body: dict[str, Any] = search.extra(
        size=count, track_total_hits=False, stored_fields="_none_", docvalue_fields=list(fields)
    ).to_dict()
    return body


@cache
def count_bodies() -> tuple[dict[str, Any], dict[str, Any]]:
    """Two search bodies that only count: all images, and those among them that are not searchable."""
    every, withheld = (
        Search().query(query).extra(size=0, track_total_hits=True).to_dict()
        for query in (Q("match_all"), Q("term", withheld=True))
    )
    return every, withheld


def found(response: Mapping[str, Any], *, limit: int) -> list[int]:
    """The seqs of what the answer to an `overlap_body` with the same limit found, in order."""
    return [hit["sort"][1] for hit in hits_of(response)[:limit]]


def candidate_list(
    response: Mapping[str, Any], *, limit: int, searched_documents: int, image_ids: Sequence[ImageId], scores: Half
) -> CandidateList:
    """The answer to an `overlap_body` with the same limit. `image_ids`, `scores`: of what it `found`."""
    overlaps = [int(hit["sort"][0]) for hit in hits_of(response)]
    cutoff = overlaps[limit - 1] if len(overlaps) > limit else 0
    return CandidateList(
        image_ids=image_ids,
        overlap=np.array(overlaps[:limit], dtype=np.int32),
        scores=scores,
        cutoff_overlap=cutoff,
        ties_at_cutoff=cutoff > 0 and overlaps[limit] == cutoff,
        searched_documents=searched_documents,
        took_ms=float(response["took"]),
    )


def _overlap_query(probe: Probe) -> Any:
    """The shared terms, what must not come back, and what candidates must be.

    `match` takes the terms apart at blanks (`split_queries_on_whitespace`) and adds up their scores, each 1.0 by the
    similarity `boolean`: the same query as one constant_score clause a term, in a tenth of the bytes.
    """
    if not probe.terms:
        return Q("match_none")
    parts = {"must": [Q("match", terms=" ".join(dict.fromkeys(probe.terms)))]}
    if probe.exclude:
        parts["must_not"] = [Q("ids", values=list(probe.exclude))]
    if probe.where is not None:
        parts["filter"] = list(_conditions(probe.where))
    return Q("bool", **parts)


def _conditions(where: SearchFilter) -> Iterator[Any]:
    for name, values in where.equal.items():
        yield Q("terms", labels=[label(name, value) for value in values])
    created = {"gte": where.created_from_ms, "lt": where.created_before_ms}
    if bounds := {side: bound for side, bound in created.items() if bound is not None}:
        yield Q("range", created_at=bounds)
