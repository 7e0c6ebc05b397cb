"""The query that ranks a corpus by term overlap, and how its answer is cut. Pure: bodies in, values out.

Every shared term adds exactly 1.0 (constant_score), so OpenSearch's own "score" is the term overlap and no IDF, norm or
document length gets in. One document more than the limit is asked for: it tells whether anything was left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from elasticsearch_dsl import Q, Search

from neardup.ports import LARGEST_LIMIT
from neardup.types import Candidate, CandidateList, ImageId, LshTerm, Probe, SearchFilter
from opensearch_templates.documents import label, scores_of_documents

__all__ = ["candidate_list", "count_bodies", "overlap_body"]


def overlap_body(probe: Probe, *, limit: int, minimum_overlap: int = 1) -> dict[str, Any]:
    """The search body of one probe: overlap descending, then older first, one more than `limit` asked for."""
    if not 1 <= limit <= LARGEST_LIMIT:
        raise ValueError(f"limit: {limit} is not between 1 and {LARGEST_LIMIT}")
    if minimum_overlap < 1:
        raise ValueError(f"minimum_overlap: {minimum_overlap} is not at least 1")
    terms = dict.fromkeys(probe.terms)
    search = (
        Search()
        .query(_overlap_query(probe) if terms else Q("match_none"))
        .sort({"_score": "desc"}, {"seq": "asc"})
        .source(["score"])
        .extra(size=limit + 1, track_total_hits=False)
    )
    if minimum_overlap > 1 or probe.where is not None:
        # min_score rather than minimum_should_match, which is five times slower when terms are frequent. With a filter,
        # which gives no score, no clause of `should` need match: then also the first shared term must be asked for.
        search = search.extra(min_score=minimum_overlap)
    body: dict[str, Any] = search.to_dict()
    if terms:
        body["query"]["bool"]["should"] = _shared(terms)
    return body


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


def _overlap_query(probe: Probe) -> Any:
    """Everything but the shared terms: what must not come back, and what candidates must be."""
    parts = {}
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


def _shared(terms: Iterable[LshTerm]) -> list[dict[str, Any]]:
    """One clause a term. Written out: as query objects, hundreds of them cost more than the search itself."""
    return [{"constant_score": {"filter": {"term": {"terms": term}}}} for term in terms]
