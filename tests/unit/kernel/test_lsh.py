import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from neardup.errors import InvalidMessageError
from neardup.lsh import LshModel, overlaps, query_terms, terms
from neardup.types import Vector

DIMENSION = 16
GOLDEN = json.loads((Path(__file__).parent / "golden_terms.json").read_text(encoding="utf-8"))

EMBEDDINGS = npst.arrays(np.float32, DIMENSION, elements=st.floats(-100, 100, width=16, allow_subnormal=False)).filter(
    np.any
)


def model(**changes: object) -> LshModel:
    values: dict[str, object] = {"dimension": DIMENSION, "embedding_version": "e1", "tables": 8, "bits_per_table": 6}
    return LshModel(**(values | changes))  # type: ignore[arg-type]


LSH = model()


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: str(case["name"]))
def test_golden_terms(case: dict[str, object]) -> None:
    """Terms of an index that exists must never change: only a new lsh_version may."""
    golden = LshModel(**GOLDEN["model"])
    assert golden.version == GOLDEN["lsh_version"]
    embedding = np.array(case["embedding"], dtype=np.float32)
    assert list(terms(golden.codes(embedding[None, :])[0])) == case["terms"]
    assert list(query_terms(golden.query_codes(embedding[None], probes=1)[0])) == case["query_terms"]


def test_a_term_is_table_and_bucket() -> None:
    assert terms(np.array([0xA3F, 0, 1], dtype=np.uint16)) == ("0.a3f", "1.0", "2.1")


@given(EMBEDDINGS, st.sampled_from([0.125, 0.5, 2.0, 1024.0]))
def test_scale_changes_nothing(embedding: Vector, factor: float) -> None:
    np.testing.assert_array_equal(LSH.codes(embedding[None, :]), LSH.codes(embedding[None, :] * np.float32(factor)))
    np.testing.assert_array_equal(
        LSH.query_codes(embedding[None, :]), LSH.query_codes(embedding[None, :] * np.float32(factor))
    )


@given(EMBEDDINGS)
def test_the_opposite_shares_no_term(embedding: Vector) -> None:
    projections = embedding @ LSH.planes
    if np.all(projections != 0):
        assert not set(terms(LSH.codes(embedding[None, :])[0])) & set(terms(LSH.codes(-embedding[None, :])[0]))


@given(EMBEDDINGS, EMBEDDINGS)
def test_tables_are_disjoint(one: Vector, other: Vector) -> None:
    """A term of one table is never a term of another, whatever the embeddings."""
    first, second = (terms(LSH.codes(vector[None, :])[0]) for vector in (one, other))
    for table, term in enumerate(first):
        assert term not in second[:table] + second[table + 1 :]
    assert len(set(first)) == LSH.tables


@given(EMBEDDINGS, st.integers(0, 4))
def test_query_terms_are_distinct_and_begin_with_the_own(embedding: Vector, probes: int) -> None:
    asked = query_terms(LSH.query_codes(embedding[None], probes=probes)[0])
    assert len(set(asked)) == len(asked) == LSH.tables * (1 + probes)
    assert asked[: LSH.tables] == terms(LSH.codes(embedding[None, :])[0])


@given(EMBEDDINGS, st.integers(1, 4))
def test_probes_flip_the_least_confident_bits(embedding: Vector, probes: int) -> None:
    projections = np.abs(embedding @ LSH.planes).reshape(LSH.tables, LSH.bits_per_table)
    for table, (own, *flipped) in enumerate(LSH.query_codes(embedding[None, :], probes=probes)[0].tolist()):
        bits = [(own ^ bucket).bit_length() - 1 for bucket in flipped]
        assert [1 << bit for bit in bits] == [own ^ bucket for bucket in flipped]
        confidences = projections[table][bits].tolist()
        assert confidences == sorted(projections[table].tolist())[:probes]


@settings(max_examples=50)
@given(EMBEDDINGS, st.lists(EMBEDDINGS, min_size=1, max_size=6), st.integers(0, 3))
def test_overlap_is_the_number_of_shared_terms(embedding: Vector, others: list[Vector], probes: int) -> None:
    query = LSH.query_codes(embedding[None, :], probes=probes)[0]
    codes = LSH.codes(np.stack(others))
    asked = set(query_terms(LSH.query_codes(embedding[None], probes=probes)[0]))
    counts = overlaps(query, codes)
    assert counts.tolist() == [len(asked & set(terms(code))) for code in codes]
    assert counts.dtype == np.int32


def test_overlap_with_nothing() -> None:
    assert overlaps(
        LSH.query_codes(np.ones((1, DIMENSION), np.float32))[0], LSH.codes(np.empty((0, DIMENSION), np.float32))
    ).shape == (0,)


@pytest.mark.parametrize(("tables", "bits"), [(1, 1), (8, 6), (7, 16), (64, 12)])
def test_planes_are_orthonormal_in_blocks_of_the_dimension(tables: int, bits: int) -> None:
    planes = model(tables=tables, bits_per_table=bits).planes
    assert (planes.shape, planes.dtype.name) == ((DIMENSION, tables * bits), "float32")
    for start in range(0, tables * bits, DIMENSION):
        block = planes[:, start : start + DIMENSION]
        np.testing.assert_allclose(block.T @ block, np.eye(block.shape[1]), atol=1e-5)


def test_planes_of_the_seed_are_the_same_every_time_and_others_differ() -> None:
    np.testing.assert_array_equal(LSH.planes, model().planes)
    assert not np.allclose(LSH.planes, model(seed=1).planes)


def test_buckets_are_about_equally_used() -> None:
    codes = LSH.codes(np.random.default_rng(1).normal(size=(6400, DIMENSION)).astype(np.float32))
    for table in (0, 1):  # their planes are of one block, hence independent
        counts = np.bincount(codes[:, table], minlength=64)
        assert counts.min() > 40
        assert counts.max() < 180


def test_sixteen_bits_fit() -> None:
    wide = model(tables=3, bits_per_table=16)
    code = wide.codes(np.linspace(-1, 1, DIMENSION, dtype=np.float32)[None, :])
    signs = (np.linspace(-1, 1, DIMENSION, dtype=np.float32) @ wide.planes > 0).reshape(3, 16)
    assert code[0].tolist() == [sum(int(bit) << place for place, bit in enumerate(row)) for row in signs]


@pytest.mark.parametrize(
    "change",
    [{"dimension": 17}, {"embedding_version": "e2"}, {"tables": 9}, {"bits_per_table": 7}, {"seed": 1}],
    ids=lambda change: str(next(iter(change))),
)
def test_whatever_changes_terms_changes_the_version(change: dict[str, object]) -> None:
    assert model(**change).version != LSH.version
    assert model().version == LSH.version
    assert len(LSH.version) == 12


@pytest.mark.parametrize("bits", [0, 17])
def test_bits_that_do_not_fit_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"bits_per_table: {bits}"):
        model(bits_per_table=bits)


@pytest.mark.parametrize(
    ("embedding", "problem"),
    [
        (np.ones(DIMENSION - 1), "dimension 15, the LSH model wants 16"),
        (np.ones((1, DIMENSION)), "dimension 16, the LSH model wants 16"),
        (np.array(1.0), "dimension 0"),
        (np.full(DIMENSION, np.nan), "NaN"),
        (np.full(DIMENSION, np.inf), "infinity"),
        (np.zeros(DIMENSION), "zeros"),
    ],
    ids=["dimension", "two-dimensional", "scalar", "nan", "infinity", "zeros"],
)
def test_embeddings_without_terms_are_refused(embedding: Vector, problem: str) -> None:
    with pytest.raises(InvalidMessageError, match=f"embedding: .*{problem}") as caught:
        LSH.validate(embedding.astype(np.float32))
    assert caught.value.field == "embedding"


def test_a_good_embedding_is_valid() -> None:
    LSH.validate(np.ones(DIMENSION, dtype=np.float32))
