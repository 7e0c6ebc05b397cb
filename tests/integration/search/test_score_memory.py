"""A search that remembers embeddings brings what one that does not would bring, whatever happens to the images."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

from indexer.opensearch_index import OpenSearchImageIndex
from neardup.errors import SearchUnavailableError
from neardup.lsh import terms
from neardup.settings import OpenSearchSettings, Settings
from neardup.types import CandidateList, ImageId, IndexedImage, Position, Probe
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import drop_namespace, setup_index
from query.opensearch import OpenSearchCandidateSearch

pytestmark = pytest.mark.integration

NAMES = IndexNames("scorememory", "0123456789ab")
SETTINGS = Settings(namespace=NAMES.namespace, opensearch=OpenSearchSettings(timeout_seconds=60))
ASKED = [Probe(terms=terms(np.array([1, 2], dtype=np.uint16)))] * 2
COUNT = 60


def image(number: int, seq: int) -> IndexedImage:
    return IndexedImage(
        image_id=ImageId(f"image {number}"),
        version=seq,
        seq=seq,
        code=np.array([1, number], dtype=np.uint16),
        score=np.array([number, seq], dtype=np.float16),
    )


class Corpus:
    """An index of images, and two searches in it."""

    def __init__(self, client: OpenSearch) -> None:
        self.index = OpenSearchImageIndex(client, NAMES)
        self.forgetful = OpenSearchCandidateSearch(client, NAMES)
        self.client = Watched(client)
        self.remembering = OpenSearchCandidateSearch(self.client, NAMES, memory_bytes=1 << 20)
        self.seq = 0
        self.write(range(COUNT))

    def write(self, numbers: range, *, removed: range = range(0)) -> None:
        """Index these images anew, and remove others."""
        first, self.seq = self.seq + 1, self.seq + len(numbers)
        images = [image(number, first + at) for at, number in enumerate(numbers)]
        self.index.apply(images, [ImageId(f"image {number}") for number in removed], upto=Position(seq=self.seq))

    def found(self, *, limit: int = COUNT) -> list[CandidateList]:
        return self.remembering.search(ASKED, limit=limit)

    def assert_alike(self, limit: int = COUNT) -> None:
        expected = self.forgetful.search(ASKED, limit=limit)
        assert [content(each) for each in self.found(limit=limit)] == [content(each) for each in expected]


class Watched(OpenSearch):
    """The client; `sent`: its searches; `meanwhile`: what happens after the next ones, each once."""

    def __init__(self, client: OpenSearch) -> None:
        self.transport, self.indices = client.transport, client.indices
        self.whole = client
        self.sent: list[str] = []
        self.meanwhile: list[Callable[[], None]] = []

    def msearch(self, *, body: Any, **options: Any) -> Any:
        self.sent.append(body)
        answer = super().msearch(body=body, **options)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return answer


@pytest.fixture
def corpus(engines: Any) -> Iterator[Corpus]:
    client = connect(SETTINGS.opensearch, engines.opensearch_url)
    drop_namespace(client, NAMES.namespace)
    setup_index(client, SETTINGS, NAMES.lsh_version)
    yield Corpus(client)
    drop_namespace(client, NAMES.namespace)
    client.close()


def content(candidates: CandidateList) -> list[Any]:
    found = [(one.image_id, one.overlap, one.score.tolist()) for one in candidates.candidates]
    return [found, candidates.cutoff_overlap, candidates.ties_at_cutoff, candidates.searched_documents]


def test_what_is_remembered_is_not_read_again(corpus: Corpus) -> None:
    corpus.assert_alike()
    assert len(corpus.client.sent) == 2
    corpus.client.sent.clear()
    corpus.assert_alike()
    corpus.assert_alike(limit=7)
    assert len(corpus.client.sent) == 2
    assert not any('"score"' in sent for sent in corpus.client.sent)


def test_what_is_new_is_read(corpus: Corpus) -> None:
    corpus.found()
    corpus.write(range(COUNT - 5, COUNT + 5), removed=range(5))
    corpus.client.sent.clear()
    corpus.assert_alike()
    _, read = corpus.client.sent
    asked = json.loads(read.splitlines()[1])
    assert sorted(asked["query"]["terms"]["seq"]) == list(range(COUNT + 1, COUNT + 11))
    corpus.client.sent.clear()
    corpus.assert_alike()
    assert len(corpus.client.sent) == 1


def test_what_changes_between_searching_and_reading_is_searched_again(corpus: Corpus) -> None:
    corpus.found()
    corpus.write(range(10))
    corpus.client.meanwhile = [lambda: corpus.write(range(5), removed=range(5, 8))]
    for found in corpus.found():
        scores = {one.image_id: one.score.tolist() for one in found.candidates}
        assert len(found.candidates) == found.searched_documents == COUNT - 3
        assert [scores[ImageId(f"image {number}")] for number in range(5)] == [
            [number, corpus.seq - 4 + number] for number in range(5)
        ]
        assert scores[ImageId("image 8")] == [8, COUNT + 9]
    corpus.assert_alike()


def test_an_index_that_was_dropped_and_made_again_is_another_one(corpus: Corpus) -> None:
    assert len(corpus.found()[0].candidates) == COUNT
    drop_namespace(corpus.client.whole, NAMES.namespace)
    setup_index(corpus.client.whole, SETTINGS, NAMES.lsh_version)
    corpus.seq = 0
    corpus.write(range(1_000, 1_010))
    time.sleep(1)  # for so long an index is taken for the one that it was
    assert {one.image_id for one in corpus.found()[0].candidates} == {
        ImageId(f"image {number}") for number in range(1_000, 1_010)
    }
    corpus.assert_alike()


def test_what_never_rests_is_not_searched_for_ever(corpus: Corpus) -> None:
    # After every request of the search: in between it reads what it found.
    corpus.client.meanwhile = [lambda: corpus.write(range(5))] * 100
    with pytest.raises(SearchUnavailableError, match="changes before it can be read"):
        corpus.found()
    assert len(corpus.client.sent) < 10
    corpus.client.meanwhile.clear()
    corpus.assert_alike()
