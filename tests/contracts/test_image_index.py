"""The ports ImageIndex and CandidateSearch, in memory and on OpenSearch: writing and reading back."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.opensearch_index import OpenSearchImageIndex
from neardup.lsh import terms
from neardup.ports import CandidateSearch, ImageIndex
from neardup.settings import OpenSearchSettings, Settings
from neardup.testing import InMemoryIndex
from neardup.types import ImageId, IndexedImage, Position, Probe
from neardup.words import NO_WORD, WORD
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import drop_namespace, setup_index
from query.opensearch import OpenSearchCandidateSearch

Index = tuple[ImageIndex, CandidateSearch]
NAMESPACE = "contractindex"


@pytest.fixture(params=["memory", pytest.param("opensearch", marks=pytest.mark.integration)])
def index(request: pytest.FixtureRequest) -> Iterator[Index]:
    if request.param == "memory":
        memory = InMemoryIndex()
        yield memory, memory
        return
    settings = Settings(namespace=NAMESPACE, opensearch=OpenSearchSettings(timeout_seconds=60))
    client = connect(settings.opensearch, request.getfixturevalue("engines").opensearch_url)
    drop_namespace(client, NAMESPACE)
    setup_index(client, settings, "0123456789ab")
    names = IndexNames(NAMESPACE, "0123456789ab")
    yield OpenSearchImageIndex(client, names), OpenSearchCandidateSearch(client, names)
    drop_namespace(client, NAMESPACE)
    client.close()


def image(
    image_id: str, seq: int, *, version: int = 1, bucket: int = 0, metadata: Mapping[str, str] | None = None
) -> IndexedImage:
    return IndexedImage(
        image_id=ImageId(image_id),
        version=version,
        seq=seq,
        code=np.array([bucket, 65535, 4], dtype=np.uint16),
        score=np.array([1.5, -0.25, seq % 100], dtype=np.float16),
        metadata=metadata or {},
    )


def same(left: IndexedImage, right: IndexedImage) -> bool:
    return (
        (left.image_id, left.version, left.seq, left.metadata)
        == (right.image_id, right.version, right.seq, right.metadata)
        and np.array_equal(left.code, right.code)
        and np.array_equal(left.score, right.score)
        and (left.code.dtype, left.score.dtype) == (right.code.dtype, right.score.dtype)
    )


def stored_seqs(search: CandidateSearch, *image_ids: str) -> dict[str, int]:
    found = search.images([ImageId(image_id) for image_id in image_ids])
    return {image_id: entry.seq for image_id, entry in found.items()}


def searched_ids(search: CandidateSearch, bucket: int = 0) -> list[str]:
    asked = Probe(terms=terms(np.array([bucket], dtype=np.uint16)))
    (answer,) = search.search([asked], limit=100)
    return [candidate.image_id for candidate in answer.candidates]


def test_new_index_has_no_position(index: Index) -> None:
    assert index[0].position() == index[1].position() == Position()


def test_position_is_kept_and_searchable(index: Index) -> None:
    write, search = index
    upto = Position(seq=3, ledger_offset=2**40, proposal_offset=2**41)
    write.apply([image("a", 3)], [], upto=upto)
    assert write.position() == search.position() == upto
    assert searched_ids(search) == ["a"]


def test_a_position_without_images(index: Index) -> None:
    write, search = index
    write.apply([], [], upto=Position(seq=5, ledger_offset=6, proposal_offset=7))
    assert search.position() == Position(seq=5, ledger_offset=6, proposal_offset=7)


def test_images_come_back_as_written(index: Index) -> None:
    write, search = index
    written = image("a", 2**33, version=2**40, metadata={"source": "camera 1", "a.b": "x", "a": "y", "": "z"})
    write.apply([written], [], upto=Position(seq=2**33))
    found = search.images([ImageId("a"), ImageId("b"), ImageId("a")])
    assert list(found) == ["a"]
    assert same(found[ImageId("a")], written)


def test_words_come_back_as_written(index: Index) -> None:
    write, search = index
    codes = {
        "a": np.array([3, 65535, WORD, WORD + 2**22 - 1, NO_WORD], dtype=np.uint32),
        "b": np.array([3, 65535, NO_WORD, NO_WORD, NO_WORD], dtype=np.uint32),
    }
    images = [
        IndexedImage(image_id=ImageId(name), version=1, seq=at, code=code, score=np.ones(3, dtype=np.float16))
        for at, (name, code) in enumerate(codes.items(), start=1)
    ]
    write.apply([images[0], replace(images[1], searchable=False)], [], upto=Position(seq=2))
    found = search.images([ImageId("a"), ImageId("b")])
    for name, code in codes.items():
        assert found[ImageId(name)].code.dtype == np.uint32
        np.testing.assert_array_equal(found[ImageId(name)].code, code)
    for searchable, expected in ((False, ["a"]), (True, ["a", "b"])):
        assert searched_ids(search, 3) == expected
        write.apply([replace(images[1], seq=3, searchable=not searchable)], [], upto=Position(seq=3))


def test_score_embeddings_are_kept_as_float16(index: Index) -> None:
    write, search = index
    embedding = np.random.default_rng(1).normal(size=1055).astype(np.float16)
    entry = IndexedImage(image_id=ImageId("a"), version=1, seq=1, code=np.zeros(3, dtype=np.uint16), score=embedding)
    write.apply([entry], [], upto=Position(seq=1))
    found = search.images([ImageId("a")])[ImageId("a")].score
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, embedding)


@pytest.mark.parametrize("image_id", ["a/b c.jpg", "ü" * 256, '{"x"}\n', "\U0001f4f7", " ", "_doc"])
def test_any_text_of_512_bytes_is_an_id(index: Index, image_id: str) -> None:
    write, search = index
    write.apply([image(image_id, 1)], [], upto=Position(seq=1))
    assert searched_ids(search) == [image_id]
    assert stored_seqs(search, image_id) == {image_id: 1}
    write.apply([], [ImageId(image_id)], upto=Position(seq=2))
    assert searched_ids(search) == []


def test_the_longest_metadata_that_messages_may_have(index: Index) -> None:
    write, search = index
    metadata = {f"{'k' * 62}{number:02}": "\N{GRINNING FACE}" * 1024 for number in range(32)}
    write.apply([image("a", 1, metadata=metadata)], [], upto=Position(seq=1))
    assert search.images([ImageId("a")])[ImageId("a")].metadata == metadata


def test_longer_metadata_does_no_harm(index: Index) -> None:
    write, _ = index
    write.apply([image("a", 1, metadata={"key": "x" * 40_000})], [], upto=Position(seq=1))
    assert searched_ids(index[1]) == ["a"]


def test_a_new_version_replaces_the_old(index: Index) -> None:
    write, search = index
    write.apply([image("a", 1, bucket=1)], [], upto=Position(seq=1))
    write.apply([image("a", 2, bucket=2, version=2)], [], upto=Position(seq=2))
    assert searched_ids(search, 1) == []
    assert searched_ids(search, 2) == ["a"]
    assert stored_seqs(search, "a") == {"a": 2}


def test_older_writes_change_nothing(index: Index) -> None:
    write, search = index
    write.apply([image("a", 5), image("b", 6)], [ImageId("c")], upto=Position(seq=7))
    write.apply([image("a", 4, bucket=9), image("c", 3)], [ImageId("b")], upto=Position(seq=5))
    assert stored_seqs(search, "a", "b", "c") == {"a": 5, "b": 6}
    assert search.position().seq == 7


def test_the_same_batch_again_changes_nothing(index: Index) -> None:
    write, search = index
    for _ in range(2):
        write.apply([image("a", 1), image("b", 2)], [ImageId("gone")], upto=Position(seq=3))
        assert stored_seqs(search, "a", "b", "gone") == {"a": 1, "b": 2}
        assert searched_ids(search) == ["a", "b"]


def test_large_batches(index: Index) -> None:
    write, search = index
    write.apply([image(f"image {seq}", seq) for seq in range(1, 1302)], [], upto=Position(seq=1301))
    found = stored_seqs(search, *(f"image {seq}" for seq in range(1, 1402)))
    assert found == {f"image {seq}": seq for seq in range(1, 1302)}
    write.apply([], [ImageId(f"image {seq}") for seq in range(2, 1302)], upto=Position(seq=1302))
    assert searched_ids(search) == ["image 1"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=6), max_size=5),
    repeats=st.lists(st.integers(0, 4), min_size=5, max_size=5),
)
def test_batches_applied_again_in_any_way_end_the_same(
    index: Index, batches: list[list[tuple[str, bool]]], repeats: list[int]
) -> None:
    """After a crash the projector starts again somewhere before; the end must be the same. A namespace is one history,
    so each example goes on where the last one ended."""
    write, search = index
    seq = write.position().seq
    steps, expected = [], dict[str, int]()
    removed_all = [ImageId(name) for name in "abcde"]
    seq += 1
    write.apply([], removed_all, upto=Position(seq=seq))
    for batch in batches:
        latest: dict[str, int | None] = {}
        for name, indexed in batch:
            seq += 1
            latest[name] = seq if indexed else None
        images = [image(name, at) for name, at in latest.items() if at is not None]
        removed = [ImageId(name) for name, at in latest.items() if at is None]
        steps.append((images, removed, Position(seq=max(seq, 1))))
        for name, at in latest.items():
            if at is None:
                expected.pop(name, None)
            else:
                expected[name] = at
    for done, (back, step) in enumerate(zip(repeats, steps, strict=False)):
        for images, removed, upto in [*steps[max(0, done - back) : done], step]:
            write.apply(images, removed, upto=upto)
    assert stored_seqs(search, *"abcde") == expected
    assert searched_ids(search) == sorted(expected, key=lambda name: expected[name])
