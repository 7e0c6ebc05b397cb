"""The query that ranks a corpus by term overlap, and how its answer is cut. Pure: bodies in, values out.

Every shared term adds exactly 1.0 (constant_score), so OpenSearch's own "score" is the term overlap and no IDF, norm or
document length gets in. One document more than the limit is asked for: it tells whether anything was left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from elasticsearch_dsl import Q, Search

from neardup.types import Candidate, CandidateList, ImageId, LshTerm, Probe
from opensearch_templates.documents import scores_of_documents

__all__ = ["CANDIDATES_A_REQUEST", "LARGEST_LIMIT", "candidate_list", "count_body", "overlap_body"]

LARGEST_LIMIT = 10_000
"""The highest candidate limit; the index template's max_result_window is one more."""

CANDIDATES_A_REQUEST = 8_000
"""The most candidates asked for at once, by as many probes as that gives."""


def overlap_body(probe: Probe, *, limit: int, minimum_overlap: int = 1) -> dict[str, Any]:
    """The search body of one probe: overlap descending, then older first, one more than `limit` asked for."""
    if not 1 <= limit <= LARGEST_LIMIT:
        raise ValueError(f"limit: {limit} is not between 1 and {LARGEST_LIMIT}")
    if minimum_overlap < 1:
        raise ValueError(f"minimum_overlap: {minimum_overlap} is not at least 1")
    terms = dict.fromkeys(probe.terms)
    search = (
        Search()
        .query(_overlap_query(probe.exclude) if terms else Q("match_none"))
        .sort({"_score": "desc"}, {"seq": "asc"})
        .source(["score"])
        .extra(size=limit + 1, track_total_hits=False)
    )
    if minimum_overlap > 1:
        # min_score rather than minimum_should_match, which is five times slower when terms are frequent.
        search = search.extra(min_score=minimum_overlap)
    body: dict[str, Any] = search.to_dict()
    if terms:
        body["query"]["bool"]["should"] = _shared(terms)
    return body


def count_body() -> dict[str, Any]:
    """The search body that only counts the indexed images."""
    body: dict[str, Any] = Search().query("match_all").extra(size=0, track_total_hits=True).to_dict()
    return body


def candidate_list(response: Mapping[str, Any], *, limit: int, searched_documents: int) -> CandidateList:
    """The answer to an `overlap_body` with the same limit."""
    found: Sequence[Mapping[str, Any]] = response["hits"]["hits"]
    overlaps = [int(document["_score"]) for document in found]
    scores = scores_of_documents([document["_source"] for document in found[:limit]])
    cut = len(found) > limit
    return CandidateList(
        candidates=tuple(
            Candidate(image_id=ImageId(document["_id"]), overlap=overlap, score=score)
            for document, overlap, score in zip(found[:limit], overlaps[:limit], scores, strict=True)
        ),
        cutoff_overlap=overlaps[limit - 1] if cut else 0,
        ties_at_cutoff=cut and overlaps[limit] == overlaps[limit - 1],
        searched_documents=searched_documents,
        took_ms=float(response["took"]),
    )


def _overlap_query(exclude: Sequence[ImageId]) -> Any:
    return Q("bool", must_not=[Q("ids", values=list(exclude))]) if exclude else Q("bool")


def _shared(terms: Iterable[LshTerm]) -> list[dict[str, Any]]:
    """One clause a term. Written out: as query objects, hundreds of them cost more than the search itself."""
    return [{"constant_score": {"filter": {"term": {"terms": term}}}} for term in terms]
