"""The order of things: each corpus grows out of the one before it, and is measured before the next."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from benchmarks.report import Cell, Report
from benchmarks.search.clients import Clients
from benchmarks.search.corpus import DIMENSION, Images, Queries
from benchmarks.search.forms import query_forms
from benchmarks.search.image_match import run_image_match
from benchmarks.search.loading import count_segments, finish, load, size_on_disk
from benchmarks.search.peers import run_peers
from benchmarks.search.product import LIMIT, Product
from benchmarks.search.real import RealImages, embed_real_images
from benchmarks.search.segments import against_segments
from benchmarks.search.words import measure_words
from neardup.lsh import LshModel
from neardup.settings import Settings
from neardup.types import Code
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import setup_index

__all__ = ["PARTS", "Plan", "run"]

PARTS: Final = ("product", "segments", "forms", "giant", "peers", "image-match", "words")
_CLIENTS: Final = 8
_MILLION: Final = 1_000_000
_NO_BUCKET: Final = 0xFFFF
"""In the truth, the bucket of an image that is not indexed: no query asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much. `millions`: the largest corpus; `timed`, `exact`, `giant`: queries for latencies, for the comparison
    with the truth and into the giant cluster; `edits`: of each photo; `large_peers`: the slow peers at 1 M too."""

    millions: int
    timed: int
    exact: int
    giant: int
    edits: int
    large_peers: bool

    def up_to(self, millions: int) -> Self:
        return replace(self, millions=millions)

    @property
    def sizes(self) -> list[int]:
        return sorted({100_000, _MILLION, self.millions * _MILLION})


def run(report: Report, settings: Settings, plan: Plan, parts: frozenset[str]) -> None:
    """Everything; the figures and rows go to `report`."""
    if parts != {"words"}:
        _run(report, settings, plan, parts)
    if "words" in parts:
        measure_words(report, settings, [size for size in plan.sizes if size <= _MILLION], plan.timed // 2)


def _run(report: Report, settings: Settings, plan: Plan, parts: frozenset[str]) -> None:
    report.note("embedding real images")
    real = embed_real_images(plan.edits)
    report.row("real images", photos_and_edits_indexed=len(real.indexed), edits_asked=len(real.asked))
    lsh = settings.lsh
    model = LshModel(
        dimension=DIMENSION,
        embedding_version="benchmark",
        tables=lsh.tables,
        bits_per_table=lsh.bits_per_table,
        seed=lsh.seed,
    )
    with Clients(settings, _CLIENTS) as clients:
        measurement = _Measurement(report, settings, plan, images=Images(model, real.indexed), clients=clients)
        measurement.ask_about(real)
        for count in plan.sizes:
            measurement.measure(count, parts)
    _growth(report, plan)


class _Measurement:
    """One index that grows, and what is measured on it."""

    def __init__(self, report: Report, settings: Settings, plan: Plan, *, images: Images, clients: Clients) -> None:
        assert settings.opensearch.url
        self._report = report
        self._settings = settings
        self._plan = plan
        self._images = images
        self._clients = clients
        self._client = connect(settings.opensearch, settings.opensearch.url)
        self._names = IndexNames(settings.namespace, images.model.version)
        setup_index(self._client, settings, images.model.version)
        self._codes: Code = np.zeros((plan.sizes[-1], images.model.tables), dtype=np.uint16)
        self._held = self._equal = self._compared = 0

    def ask_about(self, real: RealImages) -> None:
        """Prepare the queries: three in four made up, the others edits of real photos."""
        probes, timed = self._settings.search.probes, self._plan.timed
        self._ordinary = self._images.ordinary(timed, probes=probes)
        self._of_real = self._images.asking(real.asked, real.originals, probes=probes)
        self._mixed = _shuffled(self._ordinary[: timed * 3 // 4], self._of_real[: timed // 4])
        self._giant = self._images.into_giant(self._plan.giant, probes=probes)
        self._product = Product(self._settings, self._names, self._images, self._mixed, self._clients)

    def measure(self, count: int, parts: frozenset[str]) -> None:
        """Let the corpus grow to `count` images, then every part."""
        report, size = self._report, "100k" if count < _MILLION else f"{count // _MILLION}m"
        rows = range(self._held, count)
        report.note(f"{size} images: codes")
        self._codes[rows.start : count] = self._images.codes(rows)
        self._held, codes = count, self._codes[:count]
        searched = codes.copy()
        searched[self._images.withheld(range(count))] = _NO_BUCKET
        self._load(rows, size)
        if "segments" in parts and size == "1m":
            self._segments()
        self._merge(size)
        self._product.warm_up()
        self._product.work(report, size, self._client, searched)
        if "product" in parts:
            self._measure_product(searched, size)
        if "giant" in parts and count >= _MILLION:
            report.note(f"{size} images: the giant cluster")
            self._product.giant(report, size, searched, self._giant)
        if "forms" in parts and size == "1m":
            report.note(f"{size} images: forms of the query")
            query_forms(report, self._client, self._settings, self._names, self._product.probes, size=size)
        report.flush()
        slow_too = count <= (_MILLION if self._plan.large_peers else 100_000)
        if "peers" in parts:
            report.note(f"{size} images: peers")
            bits = self._images.model.bits_per_table
            run_peers(report, size, codes, self._mixed, bits=bits, limits=(50, LIMIT, 2500), graph=slow_too)
            _ratios(report.figures, size)
        if "image-match" in parts and slow_too:
            report.note(f"{size} images: image-match's method")
            run_image_match(report, self._client, size, codes, self._mixed)

    def _load(self, rows: range, size: str) -> None:
        self._report.note(f"{size} images: loading {len(rows):,}")
        seconds = _seconds(lambda: load(self._client, self._names.write, self._images, self._codes, rows))
        self._report.row(
            "indexing", images=size, loaded=len(rows), documents_a_second=len(rows) / seconds, **self._held_by()
        )
        self._report.figures[f"documents_per_second_{size}"] = len(rows) / seconds

    def _merge(self, size: str) -> None:
        self._report.note(f"{size} images: merging")
        seconds = _seconds(lambda: finish(self._client, self._names.write))
        self._report.row("the end of a bulk load: merged", images=size, seconds=seconds, **self._held_by())
        self._report.figures[f"megabytes_{size}"] = size_on_disk(self._client, self._names.index) / 1e6

    def _held_by(self) -> dict[str, Cell]:
        index = self._names.index
        return {
            "segments": count_segments(self._client, index),
            "megabytes": size_on_disk(self._client, index) / 1e6,
        }

    def _segments(self) -> None:
        self._report.note("1m images: latency against segments")
        against_segments(
            self._report,
            self._client,
            self._settings,
            names=self._names,
            images=self._images,
            queries=self._mixed,
            clients=self._clients,
            timed=self._plan.timed // 2,
        )

    def _measure_product(self, codes: Code, size: str) -> None:
        report = self._report
        report.note(f"{size} images: the product")
        self._product.concurrency(report, size, self._plan.timed)
        self._product.originals(report, size, self._ordinary, self._of_real)
        report.note(f"{size} images: the truth")
        some = self._mixed[: self._plan.exact]
        if len(codes) >= _MILLION:
            # Ties are everywhere in the giant cluster.
            some = _shuffled(some, self._giant[:4])
        equal, compared = self._product.exactness(report, size, codes, some)
        self._equal, self._compared = self._equal + equal, self._compared + compared
        report.figures["exact_fraction"] = self._equal / self._compared


def _ratios(figures: dict[str, float], size: str) -> None:
    """Best against best; and `single`: one query a call on both sides."""
    for kind in ("", "single_"):
        ours = figures.get(f"queries_per_second_{kind}{size}")
        if ours is not None:
            figures[f"ratio_to_faiss_flat_{kind}{size}"] = ours / figures[f"faiss_flat_queries_per_second_{kind}{size}"]


def _growth(report: Report, plan: Plan) -> None:
    largest, figures = f"{plan.millions}m", report.figures
    if plan.millions > 1 and f"p50_ms_{largest}" in figures:
        figures[f"p50_growth_{largest}_over_1m"] = figures[f"p50_ms_{largest}"] / figures["p50_ms_1m"]


def _shuffled(*parts: Queries) -> Queries:
    codes = np.concatenate([part.codes for part in parts])
    order = np.random.default_rng(1).permutation(len(codes))
    return Queries(codes[order], np.concatenate([part.originals for part in parts])[order])


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
