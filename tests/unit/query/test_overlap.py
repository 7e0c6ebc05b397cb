from typing import Any

import numpy as np
import pytest

from neardup.ports import LARGEST_LIMIT
from neardup.types import Candidate, CandidateList, ImageId, LshTerm, Probe, SearchFilter
from query.overlap import candidate_list, count_bodies, found, images_body, indexed_body, overlap_body


def probe(*terms: str, exclude: tuple[str, ...] = ()) -> Probe:
    return Probe(terms=tuple(map(LshTerm, terms)), exclude=tuple(map(ImageId, exclude)))


def test_the_query_of_a_probe() -> None:
    assert overlap_body(probe("0.1a", "1.f", "0.1a", exclude=("a/b",)), limit=200, minimum_overlap=2) == {
        "query": {
            "bool": {
                "must": [{"match": {"terms": "0.1a 1.f"}}],
                "must_not": [{"ids": {"values": ["a/b"]}}],
            }
        },
        "sort": [{"_score": "desc"}, {"seq": "asc"}],
        "_source": False,
        "stored_fields": "_none_",
        "size": 201,
        "track_total_hits": False,
        "min_score": 2,
    }


def test_parts_that_are_not_needed_are_left_out() -> None:
    body = overlap_body(probe("0.1"), limit=1)
    assert body["query"] == {"bool": {"must": [{"match": {"terms": "0.1"}}]}}
    assert "min_score" not in body


def test_no_terms_match_nothing() -> None:
    assert overlap_body(probe(exclude=("a",)), limit=1)["query"] == {"match_none": {}}


def test_the_query_that_reads_images() -> None:
    assert images_body([ImageId("a"), ImageId("b")]) == {
        "query": {"ids": {"values": ["a", "b"]}},
        "_source": False,
        "stored_fields": "_none_",
        "docvalue_fields": ["id", "seq", "version", "score", "code", "labels", "withheld"],
        "size": 2,
        "track_total_hits": False,
    }


def test_the_query_that_reads_what_was_found() -> None:
    assert indexed_body([7, 5, 6]) == {
        "query": {"terms": {"seq": [7, 5, 6]}},
        "_source": False,
        "stored_fields": "_none_",
        "docvalue_fields": ["id", "seq", "score"],
        "size": 3,
        "track_total_hits": False,
    }


def test_a_filter_gives_no_score() -> None:
    where = SearchFilter(
        equal={"tenant": ("acme", "b=c"), "source": ("web",)}, created_from_ms=1000, created_before_ms=2000
    )
    body = overlap_body(Probe(terms=(LshTerm("0.1"),), where=where), limit=1)
    assert body["query"]["bool"]["filter"] == [
        {"terms": {"labels": ["tenant=acme", "tenant=b=c"]}},
        {"terms": {"labels": ["source=web"]}},
        {"range": {"created_at": {"gte": 1000, "lt": 2000}}},
    ]
    assert "min_score" not in body


@pytest.mark.parametrize(
    ("where", "conditions"),
    [
        (SearchFilter(created_from_ms=0), [{"range": {"created_at": {"gte": 0}}}]),
        (SearchFilter(created_before_ms=5), [{"range": {"created_at": {"lt": 5}}}]),
        (SearchFilter(), []),
    ],
)
def test_open_ranges(where: SearchFilter, conditions: list[object]) -> None:
    body = overlap_body(Probe(terms=(LshTerm("0.1"),), where=where), limit=1)
    assert body["query"]["bool"].get("filter", []) == conditions


def test_the_queries_that_count() -> None:
    assert count_bodies() == (
        {"query": {"match_all": {}}, "size": 0, "track_total_hits": True},
        {"query": {"term": {"withheld": True}}, "size": 0, "track_total_hits": True},
    )


@pytest.mark.parametrize(
    ("limit", "minimum_overlap", "message"),
    [(0, 1, "limit: 0"), (LARGEST_LIMIT + 1, 1, "limit: 10001"), (1, 0, "minimum_overlap: 0")],
)
def test_bounds(limit: int, minimum_overlap: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overlap_body(probe("0.1"), limit=limit, minimum_overlap=minimum_overlap)


@pytest.mark.parametrize(
    ("overlaps", "limit", "cutoff_overlap", "ties_at_cutoff"),
    [
        ([5, 4, 4], 2, 4, True),
        ([5, 4, 3], 2, 4, False),
        ([5, 4], 2, 0, False),
        ([5], 2, 0, False),
        ([], 2, 0, False),
    ],
)
def test_how_an_answer_is_cut(overlaps: list[int], limit: int, cutoff_overlap: int, ties_at_cutoff: bool) -> None:
    response = {
        "took": 7,
        "hits": {"hits": [{"sort": [float(overlap), 10 + at]} for at, overlap in enumerate(overlaps)]},
    }
    assert found(response, limit=limit) == [10, 11, 12][: min(limit, len(overlaps))]
    kept = min(limit, len(overlaps))
    answer = candidate_list(
        response,
        limit=limit,
        searched_documents=9,
        image_ids=[ImageId(f"image {at}") for at in range(kept)],
        scores=np.arange(kept, dtype=np.float16)[:, None],
    )
    assert len(answer) == kept
    assert [(one.image_id, one.overlap, one.score.tolist()) for one in answer.candidates] == [
        (f"image {at}", overlap, [at]) for at, overlap in enumerate(overlaps[:limit])
    ]
    assert (answer.cutoff_overlap, answer.ties_at_cutoff) == (cutoff_overlap, ties_at_cutoff)
    assert (answer.searched_documents, answer.took_ms) == (9, 7.0)


def test_an_answer_of_which_nothing_is_left() -> None:
    assert found({"took": 1}, limit=5) == []
    nothing = np.empty((0, 0), np.float16)
    answer = candidate_list({"took": 1}, limit=5, searched_documents=0, image_ids=[], scores=nothing)
    assert answer.candidates == ()


def test_a_list_of_single_candidates() -> None:
    """As a search of a plug-in gives, whose embeddings may have another precision."""
    score: Any = np.array([0.25, 3], dtype=np.float32)
    answer = CandidateList.of([Candidate(image_id=ImageId("a"), overlap=3, score=score)], searched_documents=7)
    assert answer.scores.dtype == np.float16
    ((image_id, overlap, scores),) = ((one.image_id, one.overlap, one.score.tolist()) for one in answer.candidates)
    assert (image_id, overlap, scores) == ("a", 3, [0.25, 3])
    assert len(CandidateList.of([])) == 0
