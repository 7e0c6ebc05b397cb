"""Exactness on the real engine: every list equals brute force, ties included, however the index lies on disk."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from opensearchpy import OpenSearch

from indexer.opensearch_index import OpenSearchImageIndex
from neardup.lsh import overlaps, query_terms
from neardup.settings import OpenSearchSettings, Settings
from neardup.types import Code, Half, ImageId, IndexedImage, Position, Probe
from neardup.words import NO_WORD, WORD
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import drop_namespace, setup_index
from opensearch_templates.status import index_status, merge_segments
from query.opensearch import OpenSearchCandidateSearch

pytestmark = pytest.mark.integration

LSH_VERSION = "0123456789ab"
TABLES, BUCKETS = 24, 20
WORDS = 12
QUERIES = 250
"""In each of four states of an index, with one shard, with three, and with words: 3,000 in all."""


def embedding(seq: int) -> Half:
    """Another one whenever an image is indexed anew."""
    return np.array([seq % 1000, seq // 1000], dtype=np.float16)


class Corpus:
    """What the index must hold, and the index."""

    def __init__(self, client: OpenSearch, names: IndexNames, words: int) -> None:
        self.words = words
        self.rng = np.random.default_rng(11)
        self.client, self.names = client, names
        self.index = OpenSearchImageIndex(client, names)
        self.search = OpenSearchCandidateSearch(client, names, memory_bytes=1 << 24)
        self.images: dict[ImageId, tuple[int, Code]] = {}
        self.seq = 0

    def change(self, count: int, *, known: int, removed: int) -> None:
        """Write images, `known` of which exist, and remove some: one batch, hence one more segment."""
        pool = list(self.images)
        ids = [ImageId(f"new/{self.seq + number}") for number in range(count)]
        ids += [pool[at] for at in self.rng.permutation(len(pool))[:known]]
        written = []
        for image_id in ids:
            self.seq += 1
            code: Code = self.rng.integers(0, BUCKETS, TABLES).astype(np.uint16)
            # Many are copies of others in most tables: ties at every overlap.
            if pool and self.rng.random() < 0.3:
                other = self.images[pool[self.rng.integers(len(pool))]][1]
                code = np.where(self.rng.random(TABLES) < 0.8, other[:TABLES], code).astype(np.uint16)
            if self.words:
                code = np.concatenate([code.astype(np.uint32), self._words_of_chance()])
            self.images[image_id] = (self.seq, code)
            written.append(
                IndexedImage(image_id=image_id, version=1, seq=self.seq, code=code, score=embedding(self.seq))
            )
        gone = [pool[at] for at in self.rng.permutation(len(pool))[:removed] if pool[at] not in ids]
        self.index.apply(written, gone, upto=Position(seq=self.seq))
        for image_id in gone:
            del self.images[image_id]

    def assert_exact(self, queries: int) -> None:
        """Random probes, with every limit and minimum, against numpy."""
        ordered = sorted(self.images.items(), key=lambda entry: entry[1][0])
        codes = np.stack([code for _, (_, code) in ordered])
        for limit, minimum_overlap in ((1, 1), (50, 2), (200, 1), (2500, 2), (10_000, 1)):
            share: Code = self.rng.integers(0, BUCKETS, (queries // 5, TABLES, 2)).astype(np.uint16)
            near = self.rng.integers(len(ordered), size=len(share))
            share[:, :, 0] = np.where(self.rng.random(share.shape[:2]) < 0.7, codes[near, :TABLES], share[:, :, 0])
            if self.words:
                ends = np.full((len(share), WORDS, 2), NO_WORD, dtype=np.uint32)
                ends[:, :, 0] = codes[near, TABLES:]
                ends[::2, :, 0] = [self._words_of_chance() for _ in ends[::2]]
                share = np.concatenate([share.astype(np.uint32), ends], axis=1)
            probes = [
                Probe(terms=query_terms(query), exclude=(ordered[at][0],))
                for query, at in zip(share, near.tolist(), strict=True)
            ]
            answers = self.search.search(probes, limit=limit, minimum_overlap=minimum_overlap)
            for query, at, answer in zip(share, near.tolist(), answers, strict=True):
                counts = overlaps(query, codes)
                counts[at] = 0
                ranked = [place for place in np.argsort(-counts, kind="stable") if counts[place] >= minimum_overlap]
                expected = [(ordered[place][0], counts[place]) for place in ranked[:limit]]
                assert [(one.image_id, one.overlap) for one in answer.candidates] == expected
                for candidate in answer.candidates:
                    wanted = embedding(self.images[candidate.image_id][0])
                    assert candidate.score.tobytes() == wanted.tobytes()
                cut = len(ranked) > limit
                assert answer.cutoff_overlap == (counts[ranked[limit - 1]] if cut else 0)
                assert answer.ties_at_cutoff == (cut and counts[ranked[limit]] == counts[ranked[limit - 1]])
                assert answer.searched_documents == len(ordered)

    def _words_of_chance(self) -> npt.NDArray[np.uint32]:
        """Up to WORDS words, few of which are frequent, and rarely none."""
        count = int(self.rng.integers(0, WORDS + 1))
        words = np.unique(self.rng.zipf(1.4, count).clip(max=2**22 - 1)).astype(np.uint32) | np.uint32(WORD)
        return np.pad(words, (0, WORDS - len(words)), constant_values=NO_WORD)


@pytest.fixture(params=[(1, 0), (3, 0), (1, WORDS)], ids=["1-shard", "3-shards", "words"])
def corpus(request: pytest.FixtureRequest) -> Iterator[Corpus]:
    shards, words = request.param
    namespace = f"exact{shards}"
    settings = Settings(namespace=namespace, opensearch=OpenSearchSettings(shards=shards, timeout_seconds=60))
    client = connect(settings.opensearch, request.getfixturevalue("engines").opensearch_url)
    drop_namespace(client, namespace)
    setup_index(client, settings, LSH_VERSION)
    names = IndexNames(namespace, LSH_VERSION)
    # Let segments pile up instead of being merged away.
    client.indices.put_settings(index=names.write, body={"index.merge.policy.segments_per_tier": 100})
    yield Corpus(client, names, words)
    drop_namespace(client, namespace)
    client.close()


def test_every_list_equals_brute_force(corpus: Corpus) -> None:
    corpus.change(1500, known=0, removed=0)
    corpus.assert_exact(QUERIES)
    for _ in range(40):
        corpus.change(60, known=15, removed=6)
    segments = index_status(corpus.client, corpus.names).segments
    assert segments >= 30, "the point is many segments"
    corpus.assert_exact(QUERIES)
    merge_segments(corpus.client, corpus.names, 5)
    corpus.change(40, known=40, removed=40)
    corpus.assert_exact(QUERIES)
    merge_segments(corpus.client, corpus.names, 1)
    corpus.assert_exact(QUERIES)
    status = index_status(corpus.client, corpus.names)
    assert status.segments == len(corpus.client.cat.shards(index=corpus.names.write, format="json"))
    assert (status.images, status.searchable, status.seq) == (len(corpus.images), len(corpus.images), corpus.seq)
