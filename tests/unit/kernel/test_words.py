"""Words of local points: from embeddings to terms, counted and as bytes."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.errors import InvalidMessageError
from neardup.lsh import LshModel, overlaps, overlaps_of_each, query_terms, terms
from neardup.types import Code, Vector
from neardup.words import NO_WORD, pack, unpack

DIRECTIONS, WORDS = 8, 6
WITHOUT = LshModel(dimension=DIRECTIONS, embedding_version="e1", tables=4, bits_per_table=3)
LSH = LshModel(dimension=DIRECTIONS + 2 * WORDS, embedding_version="e1", tables=4, bits_per_table=3, words=WORDS)

# Words that differ, but not in their lowest bits: they meet in the table of `shared_words`.
WORD_PAIRS = st.tuples(st.sampled_from([1, 2, 33, 65, 97, 2016, 2048]), st.sampled_from([1, 2, 2048]))
DIRECTION = st.lists(st.floats(-8, 8, width=16).filter(lambda number: number != 0), min_size=8, max_size=8)


def embed(direction: Sequence[float], pairs: Sequence[tuple[int, int]]) -> Vector:
    """An embedding with these words first and none after them."""
    ends = [number for pair in [*pairs, *[(0, 0)] * (WORDS - len(pairs))] for number in pair]
    return np.array([*direction, *ends], dtype=np.float32)


EMBEDDINGS = st.builds(embed, DIRECTION, st.lists(WORD_PAIRS, max_size=WORDS))


def code_of(*pairs: tuple[int, int]) -> Code:
    code: Code = LSH.codes(embed([1.0] * DIRECTIONS, pairs)[None])[0]
    return code


def word_terms(*pairs: tuple[int, int]) -> list[str]:
    return [term for term in terms(code_of(*pairs)) if term.startswith("w.")]


def test_a_word_is_two_numbers_from_one_on() -> None:
    assert word_terms((1, 1), (1, 2), (2, 1), (2048, 2048)) == ["w.0", "w.1", "w.800", "w.3fffff"]
    assert word_terms() == []


def test_equal_words_of_one_image_count_once_and_their_order_is_nothing() -> None:
    assert word_terms((5, 7), (1, 1), (5, 7), (5, 7)) == ["w.0", "w.2006"]
    np.testing.assert_array_equal(code_of((5, 7), (9, 9), (5, 7)), code_of((9, 9), (5, 7)))


def test_gaps_between_words_are_nothing() -> None:
    assert word_terms((0, 0), (5, 7), (0, 0), (1, 1)) == ["w.0", "w.2006"]


@given(EMBEDDINGS)
def test_words_change_no_bucket(embedding: Vector) -> None:
    code, plain = LSH.codes(embedding[None])[0], WITHOUT.codes(embedding[None, :DIRECTIONS])[0]
    assert (code.dtype, plain.dtype) == (np.uint32, np.uint16)
    assert terms(code)[: LSH.tables] == terms(plain)
    asked = LSH.query_codes(embedding[None])[0, : LSH.tables]
    np.testing.assert_array_equal(asked, WITHOUT.query_codes(embedding[None, :DIRECTIONS])[0])


@given(EMBEDDINGS, st.integers(0, 2))
def test_a_query_asks_for_its_own_words_once(embedding: Vector, probes: int) -> None:
    asked = query_terms(LSH.query_codes(embedding[None], probes=probes)[0])
    own = terms(LSH.codes(embedding[None])[0])
    assert asked[: len(own)] == own
    assert len(set(asked)) == len(asked) == len(own) + probes * LSH.tables


@given(EMBEDDINGS, st.lists(EMBEDDINGS, min_size=1, max_size=6), st.integers(0, 2))
def test_overlap_is_shared_tables_and_shared_words(one: Vector, others: list[Vector], probes: int) -> None:
    query, codes = LSH.query_codes(one[None], probes=probes)[0], LSH.codes(np.stack(others))
    counts = overlaps(query, codes)
    assert counts.dtype == np.int32
    buckets = overlaps(
        WITHOUT.query_codes(one[None, :DIRECTIONS], probes=probes)[0], WITHOUT.codes(np.stack(others)[:, :DIRECTIONS])
    )
    words = [_words(one) & _words(other) for other in others]
    assert counts.tolist() == [tables + len(shared) for tables, shared in zip(buckets.tolist(), words, strict=True)]
    asked = set(query_terms(query))
    assert counts.tolist() == [len(asked & set(terms(code))) for code in codes]


@given(st.lists(EMBEDDINGS, min_size=1, max_size=6), st.lists(EMBEDDINGS, max_size=6), st.booleans())
def test_several_queries_are_counted_as_each_by_itself(ones: list[Vector], others: list[Vector], words: bool) -> None:
    lsh, width = (LSH, None) if words else (WITHOUT, DIRECTIONS)
    queries = lsh.query_codes(np.stack(ones)[:, :width])
    codes = lsh.codes(np.stack([*others, ones[0]])[:, :width])
    for code in (codes, np.asfortranarray(codes), codes[:0]):
        together = overlaps_of_each(list(queries), code)
        np.testing.assert_array_equal(np.stack(together), np.stack([overlaps(query, code) for query in queries]))


def test_many_words_that_resemble_one_another_are_counted() -> None:
    lsh = LshModel(dimension=8 + 96, embedding_version="e", words=48)
    rng = np.random.default_rng(5)
    ends = np.stack([rng.integers(0, 64, (300, 48)) * 32 + 1, rng.integers(1, 4, (300, 48))], axis=2).reshape(300, 96)
    embeddings = np.concatenate([rng.normal(size=(300, 8)), ends], axis=1).astype(np.float32)
    codes = lsh.codes(embeddings)
    asked = [frozenset(terms(code)) for code in codes]
    for row, query in enumerate(lsh.query_codes(embeddings[:20], probes=0)):
        assert overlaps(query, codes).tolist() == [len(asked[row] & other) for other in asked]


def test_overlap_with_nothing() -> None:
    query = LSH.query_codes(np.ones((1, LSH.dimension), np.float32))[0]
    assert overlaps(query, LSH.codes(np.empty((0, LSH.dimension), np.float32))).shape == (0,)


@given(st.lists(EMBEDDINGS, min_size=1, max_size=3), st.integers(0, 3))
def test_packed_codes_come_back(embeddings: list[Vector], probes: int) -> None:
    for lsh, rows in ((LSH, np.stack(embeddings)), (WITHOUT, np.stack(embeddings)[:, :DIRECTIONS])):
        for code, query in zip(lsh.codes(rows), lsh.query_codes(rows, probes=probes), strict=True):
            for packed, back in ((code[:, None], unpack(pack(code))), (query, unpack(pack(query), columns=1 + probes))):
                np.testing.assert_array_equal(back, packed)
                assert back.dtype == packed.dtype


def test_packed_bytes_golden() -> None:
    """Stored codes must stay readable; those without words are plain numbers, as they always were."""
    assert pack(np.array([10, 4095], np.uint16)) == b"\x0a\x00\xff\x0f"
    words = np.array([10, 4095, 1 << 31 | 0x2006, NO_WORD], np.uint32)
    assert pack(words) == b"\x0a\x00\xff\x0f" + b"\x06\x20\x00\x80" + b"\xff\xff\xff\xff" + b"\x02"
    np.testing.assert_array_equal(unpack(pack(words))[:, 0], words)


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x01", b"\x00\x00\x00\x00\x01", b"\x00" * 6 + b"\x09"])
def test_bytes_that_are_no_code_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a multiple of 1"):
        unpack(raw)


@pytest.mark.parametrize(
    ("place", "numbers", "problem"),
    [
        (8, (2049,), r"\[8\] is 2049: the last 12 numbers are words, whole numbers from 1 to 2048, or 0 0 for none"),
        (9, (-1,), r"\[9\] is -1: "),
        (19, (0.5,), r"\[19\] is 0\.5: "),
        (10, (0, 7), r"\[10\] and \[11\] are 0 and 7: a word is two numbers from 1 to 2048, none is 0 0"),
        (18, (7, 0), r"\[18\] and \[19\] are 7 and 0: "),
        (12, (np.nan,), "NaN"),
    ],
    ids=["too-large", "negative", "broken", "first-missing", "second-missing", "nan"],
)
def test_what_is_no_word_is_refused(place: int, numbers: tuple[float, ...], problem: str) -> None:
    embedding = embed([1.0] * DIRECTIONS, [(1, 1)] * WORDS)
    LSH.validate(embedding)
    embedding[place : place + len(numbers)] = numbers
    with pytest.raises(InvalidMessageError, match=f"embedding: .*{problem}") as caught:
        LSH.validate(embedding)
    assert caught.value.field == "embedding"


def test_words_alone_are_no_embedding() -> None:
    with pytest.raises(InvalidMessageError, match="all zeros and has no direction"):
        LSH.validate(embed([0.0] * DIRECTIONS, [(1, 1)]))
    with pytest.raises(InvalidMessageError, match=r"dimension 8, the LSH model wants 20 \(12 of them for words\)"):
        LSH.validate(np.ones(DIRECTIONS, np.float32))


def test_words_change_the_version() -> None:
    """And a model without them has the version that it always had."""
    same = {"dimension": 20, "embedding_version": "e1", "tables": 4, "bits_per_table": 3}
    models = [LshModel(**same, words=words) for words in (0, 1, 6)]  # type: ignore[arg-type]
    assert [model.version for model in models] == ["9d0204c7ab82", "a94c428da803", "eee03f3aa95e"]


def test_beside_words_fewer_tables_do() -> None:
    assert [LshModel(dimension=20, embedding_version="e1", words=words).tables for words in (0, 1, 6)] == [64, 48, 48]
    assert LshModel(dimension=20, embedding_version="e1", words=6, tables=64).tables == 64


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"words": -1}, "words: -1"), ({"words": 256}, "words: 256"), ({"words": 10}, "dimension: 20 has no numbers")],
)
def test_words_that_do_not_fit_are_refused(changes: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LshModel(dimension=20, embedding_version="e1", **changes)  # type: ignore[arg-type]


def _words(embedding: Vector) -> set[tuple[float, ...]]:
    pairs = {tuple(pair) for pair in embedding[DIRECTIONS:].reshape(-1, 2).tolist()}
    return pairs - {(0.0, 0.0)}
