"""The query that ranks a corpus by term overlap, and how its answer is cut. Pure: bodies in, values out.

Every shared term adds exactly 1.0, so OpenSearch's own "score" is the term overlap and no IDF, norm or document length
gets in. One document more than the limit is asked for: it tells whether anything was left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from elasticsearch_dsl import Q, Search

from neardup.ports import LARGEST_LIMIT
from neardup.types import Candidate, CandidateList, ImageId, Probe, SearchFilter
from opensearch_templates.documents import IMAGE_FIELDS, label, scores_of_fields

__all__ = ["CANDIDATES_A_REQUEST", "candidate_list", "count_bodies", "images_body", "overlap_body"]

CANDIDATES_A_REQUEST = 8_000
"""The most candidates asked for at once, by as many probes as that gives."""


def overlap_body(probe: Probe, *, limit: int, minimum_overlap: int = 1) -> dict[str, Any]:
    """The search body of one probe: overlap descending, then older first, one more than `limit` asked for."""
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
        .extra(size=limit + 1, track_total_hits=False, stored_fields="_none_", docvalue_fields=["id", "score"])
    )
    if minimum_overlap > 1:
        # min_score rather than minimum_should_match, which is slower, three times where terms are frequent.
        search = search.extra(min_score=minimum_overlap)
    body: dict[str, Any] = search.to_dict()
    return body


def images_body(image_ids: Sequence[ImageId]) -> dict[str, Any]:
    """The search body that reads images by their ids."""
    search = Search().query("ids", values=list(image_ids)).source(False)
    body: dict[str, Any] = search.extra(
        size=len(image_ids), track_total_hits=False, stored_fields="_none_", docvalue_fields=list(IMAGE_FIELDS)
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


def candidate_list(response: Mapping[str, Any], *, limit: int, searched_documents: int) -> CandidateList:
    """The answer to an `overlap_body` with the same limit."""
    found: Sequence[Mapping[str, Any]] = response["hits"]["hits"]
    overlaps = [int(document["_score"]) for document in found]
    rows = [document["fields"] for document in found[:limit]]
    scores = scores_of_fields(rows)
    cut = len(found) > limit
    return CandidateList(
        candidates=tuple(
            Candidate(image_id=ImageId(row["id"][0]), overlap=overlap, score=score)
            for row, overlap, score in zip(rows, overlaps[:limit], scores, strict=True)
        ),
        cutoff_overlap=overlaps[limit - 1] if cut else 0,
        ties_at_cutoff=cut and overlaps[limit] == overlaps[limit - 1],
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
