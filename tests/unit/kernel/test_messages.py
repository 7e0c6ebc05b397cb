import base64
import json
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from neardup.errors import InvalidMessageError
from neardup.messages import (
    EmbeddingMessage,
    HeadChange,
    ImageRecord,
    half,
    validate_image_id,
)
from neardup.records import ProposalRecord, RequeueRecord, decode_entry, decode_request, encode_entry, encode_request
from neardup.testing import make_decision
from neardup.types import ClusterId, Code, Image, ImageId, Match, Proposal, Source
from neardup.words import NO_WORD, WORD, pack

IDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
FLOATS = npst.arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32, allow_nan=False))
HALVES = npst.arrays(np.float16, st.integers(1, 20), elements=st.floats(width=16, allow_nan=False))
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=10)
METADATA = st.dictionaries(NAMES, st.text(max_size=20), max_size=4)
VERSIONS = st.integers(0, 2**53 - 1)
PROBABILITIES = st.floats(0, 1)
MATCHES = st.lists(st.builds(Match, image_id=IDS.map(ImageId), overlap=st.integers(1, 512), score=PROBABILITIES))
SOURCES = st.builds(Source, topic=st.just("n.images"), partition=st.integers(0, 1023), offset=st.integers(0, 2**63 - 1))

# As a producer in another language writes it: 1.0, -2.0 and 0.5 as little-endian float32.
FOREIGN = b'{"image_id": "img\\u00fc 1", "version": 3, "embedding": "AACAPwAAAMAAAAA/", "metadata": {"country": "de"}}'


def test_foreign_bytes() -> None:
    message = EmbeddingMessage.decode(FOREIGN)
    assert (message.image_id, message.version, message.metadata) == ("imgü 1", 3, {"country": "de"})
    assert (message.embedding.tolist(), message.embedding.dtype.name) == ([1.0, -2.0, 0.5], "float32")


def test_the_least_that_a_producer_must_say() -> None:
    message = EmbeddingMessage.decode(b'{"image_id":"a","embedding":"AACAPw=="}')
    assert (message.version, message.metadata, message.schema_version) == (0, {}, 1)


def test_written_bytes_are_what_the_documentation_says() -> None:
    message = EmbeddingMessage.create(image_id="a", version=2, embedding=np.array([1.0, -2.0], np.float32))
    assert json.loads(message.encode()) == {
        "schema": 1,
        "image_id": "a",
        "version": 2,
        "embedding": base64.b64encode(b"\x00\x00\x80\x3f\x00\x00\x00\xc0").decode(),
        "metadata": {},
    }


@given(IDS, VERSIONS, FLOATS, METADATA)
def test_embeddings_come_back(image_id: str, version: int, embedding: Any, metadata: dict[str, str]) -> None:
    sent = EmbeddingMessage.create(image_id=image_id, version=version, embedding=embedding, metadata=metadata)
    found = EmbeddingMessage.decode(sent.encode())
    assert (found.image_id, found.version, found.metadata) == (image_id, version, metadata)
    np.testing.assert_array_equal(found.embedding, embedding)


@settings(max_examples=50)
@given(IDS, VERSIONS, FLOATS, FLOATS, METADATA)
def test_images_come_back(image_id: str, version: int, lsh: Any, score: Any, metadata: dict[str, str]) -> None:
    sent = Image(image_id=ImageId(image_id), version=version, run=2, lsh=lsh, score=score, metadata=metadata)
    found = ImageRecord.decode(ImageRecord.of(sent).encode()).image()
    assert (found.image_id, found.version, found.run, found.metadata) == (image_id, version, 2, metadata)
    np.testing.assert_array_equal(found.lsh, lsh)
    np.testing.assert_array_equal(found.score, score)


def query_of(tables: int, columns: int, words: int) -> Code:
    """Buckets, and so many words, of which the last is none."""
    buckets = np.arange(tables * columns, dtype=np.uint16).reshape(tables, columns) * 13
    if words == 0:
        return buckets
    ends = np.full((words, columns), NO_WORD, np.uint32)
    ends[:-1, 0] = WORD + np.arange(words - 1)
    return np.concatenate([buckets.astype(np.uint32), ends])


QUERIES = st.builds(query_of, st.integers(1, 5), st.integers(1, 5), st.integers(0, 3))


@settings(max_examples=50)
@given(IDS, MATCHES, HALVES, QUERIES, SOURCES)
def test_proposals_come_back(image_id: str, matches: list[Match], score: Any, query: Code, source: Source) -> None:
    sent = Proposal(
        image_id=ImageId(image_id),
        version=1,
        run=0,
        query=query,
        score=score,
        metadata={"a": "b"},
        searched_seq=5,
        candidate_limit=200,
        cutoff_overlap=3,
        matches=tuple(matches),
        match_threshold=0.1 + 0.2,
        witness_bound=0.2,
        head_bound=1 / 3,
        lsh_version="v",
        model_version=1,
        source=source,
        at_ms=1,
    )
    found = decode_request(encode_request(sent))
    assert isinstance(found, Proposal)
    for name in Proposal.__slots__:
        np.testing.assert_array_equal(getattr(found, name), getattr(sent, name), err_msg=name)
    assert (found.query.shape, found.query.dtype) == (query.shape, query.dtype)
    assert found.score.dtype == np.float16


@given(MATCHES, st.lists(IDS, max_size=3), st.none() | PROBABILITIES, st.none() | IDS, SOURCES)
def test_decisions_come_back(
    matches: list[Match], bridges: list[str], head_score: float | None, previous: str | None, source: Source
) -> None:
    sent = make_decision(
        3,
        "ü",
        "c",
        matches=tuple(matches),
        bridges=tuple(map(ClusterId, bridges)),
        head_score=head_score,
        previous_cluster=previous,
        source=source,
    )
    assert decode_entry(encode_entry(sent)) == sent


def test_the_change_feed() -> None:
    change = HeadChange(
        image_id="a",
        cluster_id=ClusterId("c"),
        segment=ClusterId("c"),
        head=ImageId("c"),
        previous_cluster_id=None,
        version=1,
        revision=9,
        rule="best-match",
        at_ms=5,
    )
    assert json.loads(change.encode())["schema"] == 1
    assert HeadChange.decode(change.encode()) == change


def test_references_to_images() -> None:
    record = RequeueRecord(image_id="a", topic="n.images", partition=3, offset=2**40, candidate_limit=2000)
    assert RequeueRecord.decode(record.encode()) == record


def embedding_with(**changes: Any) -> bytes:
    values = {"image_id": "a", "version": 1, "embedding": "AACAPw==", "metadata": {}} | changes
    return json.dumps({name: value for name, value in values.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    ("raw", "field", "problem"),
    [
        (None, None, "no value"),
        (b"", None, "Invalid JSON"),
        (b"\xff\xfe", None, "Invalid JSON"),
        (b"{", None, "Invalid JSON"),
        (b"[1]", None, "valid dictionary|object"),
        (embedding_with(image_id=...), "image_id", "required"),
        (embedding_with(image_id=""), "image_id", "is empty"),
        (embedding_with(image_id=7), "image_id", "valid string"),
        (embedding_with(image_id="ü" * 257), "image_id", "longer than 512 bytes"),
        (embedding_with(image_id="a\nb"), "image_id", "control character"),
        (embedding_with(image_id="a\x7f"), "image_id", "control character"),
        (embedding_with(version=-1), "version", "greater than or equal to 0"),
        (embedding_with(version=2**53), "version", "less than"),
        (embedding_with(version=1.5), "version", "integer"),
        (embedding_with(version=None), "version", "integer"),
        (embedding_with(embedding=...), "embedding", "required"),
        (embedding_with(embedding=[1.0]), "embedding", "not a string of base64"),
        (embedding_with(embedding="AACAPw"), "embedding", "not base64"),
        (embedding_with(embedding="AACA Pw=="), "embedding", "not base64"),
        (embedding_with(embedding="ü"), "embedding", "base64|ASCII"),
        (embedding_with(embedding=""), "embedding", "0 bytes"),
        (embedding_with(embedding="AACAPwA="), "embedding", "5 bytes"),
        (embedding_with(metadata=[]), "metadata", "dictionary|object"),
        (embedding_with(metadata={"Country": "de"}), "metadata.Country", "pattern"),
        (embedding_with(metadata={"country": 7}), "metadata.country", "string"),
        (embedding_with(metadata={"country": "x" * 1025}), "metadata.country", "1024"),
        (embedding_with(metadata={f"n{n}": "" for n in range(33)}), "metadata", "at most 32"),
        (embedding_with(schema=2), "schema", "should be 1"),
        (embedding_with(vector="x"), "vector", "not permitted"),
    ],
)
def test_bad_input_names_its_field(raw: bytes | None, field: str | None, problem: str) -> None:
    with pytest.raises(InvalidMessageError, match=problem) as caught:
        EmbeddingMessage.decode(raw)
    found = caught.value.field
    assert found == field or (found is not None and field is not None and found.startswith(f"{field}."))
    assert "\n" not in str(caught.value)


def test_values_are_checked_as_bytes_are() -> None:
    with pytest.raises(InvalidMessageError, match="image_id: contains a control character"):
        EmbeddingMessage.create(image_id="a\udc80", version=1, embedding=np.ones(2, np.float32))


def proposal_with(**changes: Any) -> bytes:
    record = ProposalRecord(
        image_id="a",
        version=1,
        run=0,
        probes=1,
        query=pack(np.zeros((4, 2), np.uint16)),
        score=np.ones(2, np.float32),
        metadata={},
        searched_seq=0,
        candidate_limit=200,
        matches=(("b", 1, 0.5),),
        match_threshold=0.5,
        head_bound=0.4,
        lsh_version="v",
        model_version=1,
        source=("t", 0, 0),
        at_ms=0,
    )
    return json.dumps(json.loads(record.encode()) | changes).encode()


def test_records_from_before_there_was_a_witness_bound() -> None:
    record = json.loads(proposal_with(match_threshold=0.75))
    del record["witness_bound"]
    assert ProposalRecord.decode(json.dumps(record).encode()).proposal().witness_bound == 0.75
    entry = json.loads(encode_entry(make_decision(1, "a", "a")))
    del entry["entry"]["evidence"]["witness_bound"]
    assert decode_entry(json.dumps(entry).encode()) == make_decision(1, "a", "a", witness_bound=None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"probes": 2}, "query"),
        ({"probes": -1}, "probes"),
        ({"query": "AA=="}, "query"),
        ({"score": "AAAA"}, "score"),
        ({"matches": [["b", 1]]}, "matches.0"),
        ({"source": ["t", 0]}, "source"),
        ({"searched_seq": "x"}, "searched_seq"),
    ],
    ids=str,
)
def test_a_bad_proposal_names_its_field(changes: dict[str, Any], field: str) -> None:
    assert ProposalRecord.decode(proposal_with()).proposal().query.shape == (4, 2)
    with pytest.raises(InvalidMessageError) as caught:
        ProposalRecord.decode(proposal_with(**changes)).proposal()
    assert caught.value.field is not None
    assert caught.value.field.startswith(field)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"seq": "x"}, "decision.seq"), ({"rule": "guess"}, "decision.rule"), ({"head": 1}, "decision.head")],
)
def test_a_bad_entry_names_its_field(change: dict[str, Any], field: str) -> None:
    record = json.loads(encode_entry(make_decision(1, "a", "a")))
    raw = json.dumps(record | {"entry": record["entry"] | change}).encode()
    with pytest.raises(InvalidMessageError, match=rf"not an entry of this version: entry\.{field}: "):
        decode_entry(raw)


def test_another_form_of_the_ledger_is_refused() -> None:
    record = json.loads(encode_entry(make_decision(1, "a", "a"))) | {"schema": 2}
    with pytest.raises(InvalidMessageError, match="not an entry of this version: schema: "):
        decode_entry(json.dumps(record).encode())


@pytest.mark.parametrize("image_id", ["a", "a b", "/srv/ü.jpg", "x" * 512, "ü" * 256, "😀"])
def test_good_ids(image_id: str) -> None:
    assert validate_image_id(image_id) == image_id


@given(FLOATS)
def test_half_is_what_the_index_keeps(vector: Any) -> None:
    once = half(vector)
    assert once.dtype == np.float16
    record = ProposalRecord.decode(proposal_with(score=base64.b64encode(once.astype("<f2").tobytes()).decode()))
    np.testing.assert_array_equal(record.score, once)
    assert record.score.dtype == np.float16
