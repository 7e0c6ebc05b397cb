"""The ports CandidateSearch and ImageIndex: searching. In memory, on OpenSearch 3 with one and with three shards, and
on OpenSearch 2.19."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from indexer.opensearch_index import OpenSearchImageIndex
from neardup.lsh import overlaps, query_terms, terms
from neardup.ports import CandidateSearch, ImageIndex
from neardup.settings import OpenSearchSettings, Settings
from neardup.testing import InMemoryIndex
from neardup.types import CandidateList, Code, ImageId, IndexedImage, LshTerm, Position, Probe, SearchFilter
from neardup.words import NO_WORD, WORD
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import drop_namespace, setup_index
from query.opensearch import OpenSearchCandidateSearch

Index = tuple[ImageIndex, CandidateSearch]
TABLES = 16


@pytest.fixture(
    params=[
        "memory",
        pytest.param("opensearch-1", marks=pytest.mark.integration),
        pytest.param("opensearch-3", marks=pytest.mark.integration),
        pytest.param("opensearch_2-1", marks=pytest.mark.integration),
    ]
)
def index(request: pytest.FixtureRequest) -> Iterator[Index]:
    if request.param == "memory":
        memory = InMemoryIndex()
        yield memory, memory
        return
    series, shards = request.param.split("-")
    url = (
        request.getfixturevalue("opensearch_2_url")
        if series == "opensearch_2"
        else request.getfixturevalue("engines").opensearch_url
    )
    namespace = f"contractsearch{shards}"
    settings = Settings(namespace=namespace, opensearch=OpenSearchSettings(shards=int(shards), timeout_seconds=60))
    client = connect(settings.opensearch, url)
    drop_namespace(client, namespace)
    setup_index(client, settings, "0123456789ab")
    names = IndexNames(namespace, "0123456789ab")
    yield OpenSearchImageIndex(client, names), OpenSearchCandidateSearch(client, names)
    drop_namespace(client, namespace)
    client.close()


def image(image_id: str, seq: int, code: Sequence[int] | Code, **changes: Any) -> IndexedImage:
    return IndexedImage(
        image_id=ImageId(image_id),
        version=1,
        seq=seq,
        code=code if isinstance(code, np.ndarray) else np.asarray(code, dtype=np.uint16),
        score=np.full(4, seq % 100, dtype=np.float16),
        **changes,
    )


def fill(index: Index, *codes: Sequence[int]) -> None:
    """Images a, b, c … with these codes, in this order of seq."""
    images = [image(chr(ord("a") + at), at + 1, code) for at, code in enumerate(codes)]
    index[0].apply(images, [], upto=Position(seq=len(images)))


def probe(code: Sequence[int], *exclude: str) -> Probe:
    return Probe(
        terms=terms(np.asarray(code, dtype=np.uint16)), exclude=tuple(ImageId(image_id) for image_id in exclude)
    )


def with_words(buckets: Sequence[int], *words: int, at_most: int = 3) -> Code:
    ends = [WORD + word for word in sorted(words)] + [NO_WORD] * (at_most - len(words))
    return np.array([*buckets, *ends], dtype=np.uint32)


def words_of_chance(rng: np.random.Generator, at_most: int = 6) -> list[int]:
    """Some are frequent."""
    words: list[int] = np.unique(rng.geometric(0.15, rng.integers(0, at_most + 1)) * 997).tolist()
    return words


def found(candidates: CandidateList) -> list[tuple[str, int]]:
    return [(candidate.image_id, candidate.overlap) for candidate in candidates.candidates]


def test_empty_index(index: Index) -> None:
    _, search = index
    assert search.position() == Position()
    (answer,) = search.search([probe([1, 2])], limit=10)
    assert (found(answer), answer.cutoff_overlap, answer.ties_at_cutoff, answer.searched_documents) == (
        [],
        0,
        False,
        0,
    )
    assert search.images([ImageId("a")]) == {}


def test_no_probes(index: Index) -> None:
    assert index[1].search([], limit=10) == []


def test_order_is_overlap_then_age(index: Index) -> None:
    fill(index, [1, 2, 9], [1, 2, 3], [1, 8, 7], [1, 2, 8], [5, 6, 7])
    (answer,) = index[1].search([probe([1, 2, 3])], limit=10)
    assert found(answer) == [("b", 3), ("a", 2), ("d", 2), ("c", 1)]
    assert (answer.cutoff_overlap, answer.ties_at_cutoff, answer.searched_documents) == (0, False, 5)
    assert answer.took_ms >= 0


@pytest.mark.parametrize(
    ("limit", "cutoff_overlap", "ties_at_cutoff"),
    [(1, 3, False), (2, 2, True), (3, 2, False), (4, 0, False), (10_000, 0, False)],
)
def test_the_answer_says_how_it_was_cut(index: Index, limit: int, cutoff_overlap: int, ties_at_cutoff: bool) -> None:
    fill(index, [1, 2, 9], [1, 2, 3], [1, 8, 7], [1, 2, 8], [5, 6, 7])
    (answer,) = index[1].search([probe([1, 2, 3])], limit=limit)
    assert len(answer.candidates) == min(limit, 4)
    assert (answer.cutoff_overlap, answer.ties_at_cutoff) == (cutoff_overlap, ties_at_cutoff)


def test_minimum_overlap(index: Index) -> None:
    fill(index, [1, 2, 9], [1, 2, 3], [1, 8, 7])
    (answer,) = index[1].search([probe([1, 2, 3])], limit=2, minimum_overlap=2)
    assert found(answer) == [("b", 3), ("a", 2)]
    assert (answer.cutoff_overlap, answer.ties_at_cutoff) == (0, False)


def test_excluded_images_do_not_come_back(index: Index) -> None:
    fill(index, [1, 2], [1, 2], [1, 3])
    (answer,) = index[1].search([probe([1, 2], "a", "unknown")], limit=1)
    assert found(answer) == [("b", 2)]
    assert (answer.cutoff_overlap, answer.ties_at_cutoff) == (2, False)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (SearchFilter(), "abcde"),
        (SearchFilter(equal={"tenant": ("acme",)}), "ab"),
        (SearchFilter(equal={"tenant": ("acme", "beta")}), "abc"),
        (SearchFilter(equal={"tenant": ("acme",), "source": ("web",)}), "b"),
        (SearchFilter(equal={"tenant": ()}), ""),
        (SearchFilter(equal={"tenant": ("acm",)}), ""),
        (SearchFilter(equal={"tenan": ("t=acme",)}), ""),
        (SearchFilter(created_from_ms=1000), "cd"),
        (SearchFilter(created_from_ms=1001), "d"),
        (SearchFilter(created_before_ms=1000), "b"),
        (SearchFilter(created_before_ms=1001), "bc"),
        (SearchFilter(created_from_ms=-1, created_before_ms=2_000), "bc"),
        (SearchFilter(equal={"tenant": ("acme",)}, created_from_ms=0), "b"),
    ],
)
def test_only_images_that_fit_the_filter_come_back(index: Index, where: SearchFilter, names: str) -> None:
    metadata = {
        "a": {"tenant": "acme"},
        "b": {"tenant": "acme", "source": "web", "created_at": "1970-01-01T00:00:00.5Z"},
        "c": {"tenant": "beta", "created_at": "1970-01-01T00:00:01+00:00"},
        "d": {"created_at": "2026-11-24T00:00:00Z"},
        "e": {"note": "x" * 1024},
        "f": {"tenant": "acme", "source": "web", "created_at": "1970-01-01T00:00:01Z"},
    }
    images = [image(name, at + 1, [1, 2, at], metadata=given) for at, (name, given) in enumerate(metadata.items())]
    # Fits nearly every filter, but shares no term.
    images[-1] = image("f", 6, [8, 8, 8], metadata=metadata["f"])
    index[0].apply(images, [], upto=Position(seq=6))
    asked = Probe(terms=terms(np.array([1, 2, 99], dtype=np.uint16)), where=where)
    (answer,) = index[1].search([asked], limit=10)
    assert found(answer) == [(name, 2) for name in names]
    assert answer.searched_documents == 6
    (cut,) = index[1].search([asked], limit=1, minimum_overlap=2)
    assert (cut.cutoff_overlap, cut.ties_at_cutoff) == ((2, True) if len(names) > 1 else (0, False))


def test_what_is_not_searchable_is_read_but_not_found(index: Index) -> None:
    write, search = index
    write.apply([image("a", 1, [1, 2]), image("b", 2, [1, 2], searchable=False)], [], upto=Position(seq=2))
    (answer,) = search.search([probe([1, 2])], limit=10)
    assert (found(answer), answer.searched_documents) == ([("a", 2)], 1)
    known = search.images([ImageId("a"), ImageId("b")])
    assert {name: one.searchable for name, one in known.items()} == {"a": True, "b": False}
    # Moved, it becomes searchable; enough others having come, the other one no longer is.
    write.apply([image("b", 3, [1, 7]), image("a", 4, [1, 2], searchable=False)], [], upto=Position(seq=4))
    (answer,) = search.search([probe([1, 2])], limit=10)
    assert (found(answer), answer.searched_documents) == ([("b", 1)], 1)


def test_two_buckets_a_table_and_repeated_terms_count_once(index: Index) -> None:
    fill(index, [1, 2], [4, 2], [1, 5])
    asked = (*terms(np.array([1, 2], dtype=np.uint16)), LshTerm("0.4"), LshTerm("0.4"), LshTerm("1.2"))
    (answer,) = index[1].search([Probe(terms=asked)], limit=10)
    assert found(answer) == [("a", 2), ("b", 2), ("c", 1)]


def test_tables_are_apart(index: Index) -> None:
    fill(index, [1, 2])
    (answer,) = index[1].search([probe([2, 1])], limit=10)
    assert found(answer) == []


def test_words_count_as_tables_do(index: Index) -> None:
    images = {
        "both": with_words([1, 2], 5, 7),
        "word": with_words([8, 9], 7, 2**22 - 1),
        "table": with_words([1, 9]),
        "bucket 7": with_words([7, 7], 1),
        "neither": with_words([8, 9], 6),
    }
    written = [image(name, at, code) for at, (name, code) in enumerate(images.items(), start=1)]
    index[0].apply(written, [], upto=Position(seq=len(written)))
    asked = Probe(terms=terms(with_words([1, 2], 5, 7, 2**22 - 1)))
    assert asked.terms == ("0.1", "1.2", "w.5", "w.7", "w.3fffff")
    (answer,) = index[1].search([asked], limit=10)
    assert found(answer) == [("both", 4), ("word", 2), ("table", 1)]
    (answer,) = index[1].search([Probe(terms=terms(with_words([0, 0], 7)))], limit=10)
    assert found(answer) == [("both", 1), ("word", 1)]


def test_a_probe_without_terms_finds_nothing(index: Index) -> None:
    fill(index, [1, 2])
    (answer,) = index[1].search([Probe(terms=(), exclude=(ImageId("z"),))], limit=10)
    assert found(answer) == []


def test_one_list_a_probe_in_order(index: Index) -> None:
    fill(index, *([bucket, 7] for bucket in range(20)))
    answers = index[1].search([probe([bucket, 8]) for bucket in range(19, -1, -1)], limit=500)
    assert [found(answer) for answer in answers] == [[(chr(ord("a") + bucket), 1)] for bucket in range(19, -1, -1)]


def test_embeddings_come_with_the_candidates(index: Index) -> None:
    fill(index, [1, 2], [1, 3])
    (answer,) = index[1].search([probe([1, 2])], limit=10)
    for candidate, seq in zip(answer.candidates, (1, 2), strict=True):
        assert candidate.score.dtype == np.float16
        np.testing.assert_array_equal(candidate.score, np.full(4, seq, dtype=np.float16))


@pytest.mark.parametrize(("limit", "minimum_overlap"), [(0, 1), (10_001, 1), (10, 0)])
def test_limits(index: Index, limit: int, minimum_overlap: int) -> None:
    with pytest.raises(ValueError, match=str(limit if minimum_overlap else minimum_overlap)):
        index[1].search([probe([1])], limit=limit, minimum_overlap=minimum_overlap)


@pytest.mark.parametrize("words", [False, True], ids=["", "words"])
def test_ranking_equals_brute_force_while_images_come_change_and_go(index: Index, words: bool) -> None:
    """A few thousand images in few buckets, so that ties are everywhere; the truth is counted with numpy."""
    write, search = index
    rng = np.random.default_rng(3)
    stored: dict[ImageId, IndexedImage] = {}
    seq = 0
    for _ in range(4):
        changed = []
        for number in rng.integers(0, 2500, 700).tolist():
            seq += 1
            code: Code = rng.integers(0, 12, TABLES).astype(np.uint16)
            if words:
                code = with_words(code.tolist(), *words_of_chance(rng), at_most=6)
            changed.append(image(f"im/{number}", seq, code))
        latest = {entry.image_id: entry for entry in changed}
        gone = {ImageId(f"im/{number}") for number in rng.integers(0, 2500, 60).tolist()}
        removed = sorted(gone - latest.keys())
        write.apply(list(latest.values()), removed, upto=Position(seq=seq))
        stored |= latest
        for image_id in removed:
            stored.pop(image_id, None)

        ordered = sorted(stored.values(), key=lambda entry: entry.seq)
        codes = np.stack([entry.code for entry in ordered])
        queries: list[Code] = list(rng.integers(0, 12, (40, TABLES, 2)).astype(np.uint16))
        if words:
            ends = [(with_words([], *words_of_chance(rng), at_most=6), np.full(6, NO_WORD)) for _ in queries]
            queries = [
                np.concatenate([query, np.stack(end, axis=1)]).astype(np.uint32)
                for query, end in zip(queries, ends, strict=True)
            ]
        probes = [Probe(terms=query_terms(query), exclude=(ordered[7].image_id,)) for query in queries]
        for limit, minimum_overlap in ((30, 1), (200, 3)):
            answers = search.search(probes, limit=limit, minimum_overlap=minimum_overlap)
            for query, answer in zip(queries, answers, strict=True):
                counts = overlaps(query, codes)
                counts[7] = 0
                ranked = [at for at in np.argsort(-counts, kind="stable") if counts[at] >= minimum_overlap]
                expected = [(ordered[at].image_id, int(counts[at])) for at in ranked[:limit]]
                assert found(answer) == expected
                cut = len(ranked) > limit
                assert answer.cutoff_overlap == (counts[ranked[limit - 1]] if cut else 0)
                assert answer.ties_at_cutoff == (cut and counts[ranked[limit]] == counts[ranked[limit - 1]])
                assert answer.searched_documents == len(ordered)
