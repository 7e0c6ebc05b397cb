"""What words of local points add to a search: the same corpus with words, asked with and without them.

Words are made up (`benchmarks.made_up`). A query that is a copy has half of the words of its original. Forms take
turns, so that what else the machine does falls on all; CPU is the engine's own account.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from opensearchpy import OpenSearch

from benchmarks.made_up import copied_words, made_up_words
from benchmarks.report import Report, percentiles
from benchmarks.search.clients import Job, open_search, timed
from benchmarks.search.corpus import BLOCK, DIMENSION, Images, image_name, noisy
from benchmarks.search.loading import finish, load, size_on_disk
from neardup.lsh import LshModel, overlaps, query_terms
from neardup.points.axes import WORD_BITS
from neardup.points.describe import COUNT
from neardup.settings import Settings
from neardup.types import Code, Probe, Vector
from neardup.words import NO_WORD, WORD
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import setup_index

__all__ = ["measure_words"]

WORDS: Final = COUNT
_LIMIT: Final = 200
_WARM_UP: Final = 2
_ROUNDS: Final = 4
_EXACT: Final = 20
_PLAIN: Final = "64 tables"
_NEVER_INDEXED: Final = 10_000
"""A block far behind those of all corpora."""
_NOISE: Final = (0.05, 0.6)
_BUCKETS: Final = 1 << 16
_FORMS: Final[Mapping[str, tuple[int, int]]] = {
    _PLAIN: (64, 0),
    "64 tables, words": (64, WORDS),
    "48 tables, words": (48, WORDS),
    "32 tables, words": (32, WORDS),
    "words": (0, WORDS),
}
"""How much of its code a query asks for; a table stands for its own bucket and the flipped one."""


class WordedImages(Images):
    """The stream of `Images`, each with words."""

    def embeddings(self, block: int) -> Vector:
        """The LSH embeddings of one block, shape (BLOCK, 256 + 2 * WORDS)."""
        words = made_up_words(np.random.default_rng([block, WORDS]), BLOCK)
        return np.concatenate([super().embeddings(block), words], axis=1)


def measure_words(report: Report, settings: Settings, sizes: Sequence[int], count: int) -> None:
    """Rows for each size of corpus and form of query; `count` queries a form."""
    lsh = settings.lsh
    model = LshModel(
        dimension=DIMENSION + 2 * WORDS,
        embedding_version="benchmark",
        tables=max(tables for tables, _ in _FORMS.values()),
        bits_per_table=lsh.bits_per_table,
        seed=lsh.seed,
        words=WORDS,
    )
    images = WordedImages(model, np.empty((0, DIMENSION), np.float32))
    measurement = _Measurement(report, settings, images, _queries(images, count, probes=settings.search.probes))
    for size in sizes:
        measurement.grow(size)
        measurement.ask()
        measurement.compare()
        report.flush()


class _Measurement:
    """One index that grows, and what is measured on it."""

    def __init__(self, report: Report, settings: Settings, images: WordedImages, queries: Code) -> None:
        assert settings.opensearch.url
        self._report = report
        self._images = images
        self._queries = queries
        self._client = connect(settings.opensearch, settings.opensearch.url)
        self._names = IndexNames(settings.namespace, images.model.version)
        setup_index(self._client, settings, images.model.version, words=WORDS)
        self._search = open_search(settings, self._names)
        self._job = Job(names=self._names, limit=_LIMIT, minimum_overlap=settings.search.minimum_overlap)
        self._codes: Code = np.empty((0, images.model.tables + WORDS), np.uint32)
        self._size = ""

    def grow(self, count: int) -> None:
        self._size = "1m" if count == 1_000_000 else f"{count // 1000}k"
        self._report.note(f"words, {self._size} images: loading")
        rows = range(len(self._codes), count)
        codes = np.concatenate([self._codes, self._images.codes(rows)])
        load(self._client, self._names.write, self._images, codes, rows)
        finish(self._client, self._names.write)
        codes[self._images.withheld(rows) - rows.start + len(self._codes)] = NO_WORD
        self._codes = codes
        megabytes = size_on_disk(self._client, self._names.index) / 1e6
        self._report.row("words: the index", images=self._size, megabytes=megabytes)

    def ask(self) -> None:
        """Every form asks every query once a round, in turned order every other one. The first two rounds warm up: the
        engine compiles what it runs often, and its account has that, too."""
        self._report.note(f"words, {self._size} images: asking")
        forms = _asked(self._queries)
        probes = {form: [Probe(terms=query_terms(query)) for query in asked] for form, asked in forms.items()}
        milliseconds: dict[str, list[float]] = {form: [] for form in forms}
        engine_cpu = dict.fromkeys(forms, 0.0)
        for turn in range(_WARM_UP + _ROUNDS):
            for form, some in list(probes.items())[:: 1 if turn % 2 else -1]:
                before = _engine_cpu(self._client)
                spent = [timed(self._search, [probe], self._job)[0] for probe in some]
                if turn >= _WARM_UP:
                    milliseconds[form] += spent
                    engine_cpu[form] += _engine_cpu(self._client) - before
        for form, asked in forms.items():
            ratio = engine_cpu[form] / engine_cpu[_PLAIN]
            self._report.row(
                f"words, {self._size} images: forms of the query, N = {_LIMIT}, one client",
                form=form,
                terms=float(np.mean([len(probe.terms) for probe in probes[form]])),
                postings=_postings(self._codes, asked),
                engine_cpu_ms=engine_cpu[form] / len(milliseconds[form]),
                cpu_ratio=ratio,
                p50_ratio=float(np.median(milliseconds[form]) / np.median(milliseconds[_PLAIN])),
                **percentiles(milliseconds[form]),
            )
            self._report.figures[f"words_cpu_ratio_{form.replace(', ', '_').replace(' ', '_')}_{self._size}"] = ratio

    def compare(self) -> None:
        """Whole lists against brute force, ties included."""
        equal = 0
        for query in self._queries[:_EXACT]:
            blocks = [self._codes[at : at + BLOCK] for at in range(0, len(self._codes), BLOCK)]
            counts = np.concatenate([overlaps(query, block) for block in blocks])
            order = np.argsort(-counts, kind="stable")[:_LIMIT].tolist()
            expected = [(image_name(row), counts[row]) for row in order if counts[row] >= self._job.minimum_overlap]
            (answer,) = timed(self._search, [Probe(terms=query_terms(query))], self._job)[1]
            equal += expected == [(one.image_id, one.overlap) for one in answer.candidates]
        self._report.row(
            "words: lists equal to brute force, ties included", images=self._size, compared=_EXACT, equal=equal
        )
        self._report.figures[f"words_exact_fraction_{self._size}"] = equal / _EXACT


def _queries(images: WordedImages, count: int, *, probes: int) -> Code:
    """Two in three are copies of rows of the first block with half of their words, the others of no row."""
    rng = np.random.default_rng(8)
    asked, corpus = images.embeddings(_NEVER_INDEXED)[:count], images.embeddings(0)
    copies = np.arange(count) % 3 != 2
    originals = corpus[rng.integers(0, BLOCK, int(copies.sum()))]
    asked[copies, :DIMENSION] = noisy(rng, originals[:, :DIMENSION], _NOISE)
    asked[copies, DIMENSION:] = copied_words(rng, originals[:, DIMENSION:])
    return images.model.query_codes(asked, probes=probes)


def _asked(queries: Code) -> dict[str, Code]:
    """For each form what it asks for; NO_WORD stands for nothing."""
    forms = {}
    for form, (tables, words) in _FORMS.items():
        asked = np.full_like(queries, NO_WORD)
        asked[:, :tables] = queries[:, :tables]
        ends = queries.shape[1] - WORDS
        asked[:, ends : ends + words] = queries[:, ends : ends + words]
        forms[form] = asked
    return forms


def _engine_cpu(client: OpenSearch) -> float:
    """Milliseconds of CPU that the engine has taken since it started, all its threads."""
    (node,) = client.nodes.stats(metric="process")["nodes"].values()
    return float(node["process"]["cpu"]["total_in_millis"])


def _postings(codes: Code, queries: Code) -> float:
    """The mean of what queries meet."""
    tables = codes.shape[1] - WORDS
    met = 0
    for table in range(tables):
        asked, column = queries[:, table], codes[:, table]
        met += int(np.bincount(column[column != NO_WORD], minlength=_BUCKETS)[asked[asked != NO_WORD]].sum())
    held, asked = codes[:, tables:], queries[:, tables:]
    frequency = np.bincount(held[held != NO_WORD] - WORD, minlength=1 << WORD_BITS)
    met += int(frequency[asked[asked != NO_WORD] - WORD].sum())
    return met / len(queries)
