"""The product's rows: what its adapters do on its own index, embeddings of the candidates included."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
from opensearchpy import OpenSearch

from benchmarks.report import Report, percentiles
from benchmarks.search.clients import Clients, Job, Load, open_search, timed
from benchmarks.search.corpus import Images, Queries, image_name, row_of_name
from benchmarks.search.loading import count_segments
from benchmarks.search.truth import brute_force, postings, recall_of_originals
from neardup.lsh import query_terms
from neardup.settings import Settings
from neardup.types import CandidateList, Code, Probe
from opensearch_templates.names import IndexNames

__all__ = ["LIMIT", "Product", "probes_of"]

LIMIT = 200
_LIMITS = (50, LIMIT, 2500)
_CLIENTS = (1, 2, 8)
_BATCH = 64
_WARM_UP = 600


class Product:
    """The product on one index, which may hold more and more of the corpus. `queries`: ordinary ones."""

    def __init__(self, settings: Settings, names: IndexNames, images: Images, queries: Queries, clients: Clients):
        self._settings = settings
        self._names = names
        self._images = images
        self._queries = queries
        self._clients = clients
        self._search = open_search(settings, names)

    def job(self, *, limit: int = LIMIT, batch: int = 1) -> Job:
        """A search as the settings have it: users get candidates from `minimum_overlap` on."""
        minimum = self._settings.search.minimum_overlap
        return Job(names=self._names, limit=limit, minimum_overlap=minimum, batch=batch)

    @cached_property
    def probes(self) -> list[Probe]:
        return probes_of(self._queries)

    def warm_up(self) -> None:
        """The engine compiles what it runs often; a service that has run for a minute is past that."""
        for start in range(0, _WARM_UP, 10):
            timed(self._search, self.probes[start % len(self.probes) :][:10], self.job())

    def latency(self, count: int) -> list[float]:
        """Milliseconds of single probes, one after the other, in this process."""
        return [timed(self._search, [probe], self.job())[0] for probe in self.probes[:count]]

    def lists(self, queries: Queries, *, limit: int = LIMIT) -> list[CandidateList]:
        """What the product finds."""
        return timed(self._search, probes_of(queries), self.job(limit=limit))[1]

    def concurrency(self, report: Report, size: str, count: int) -> None:
        """Rows for every N and number of clients, times of a call; figures for N = 200."""
        alone: list[Load] = []
        together: list[Load] = []
        for limit in _LIMITS:
            asked = self.probes[: count if limit <= LIMIT else count // 3]
            for clients in _CLIENTS:
                one = self._loaded(report, size, asked, self.job(limit=limit), clients=clients)
                if limit == LIMIT:
                    many = self._enough(asked, clients * _BATCH)
                    alone.append(one)
                    together.append(
                        self._loaded(report, size, many, self.job(limit=limit, batch=_BATCH), clients=clients)
                    )
        p50, p95 = np.percentile(alone[0].milliseconds, (50, 95)).tolist()
        report.figures |= {
            f"p50_ms_{size}": p50,
            f"p95_ms_{size}": p95,
            f"queries_per_second_{size}": max(load.per_second for load in (*alone, *together)),
            f"queries_per_second_single_{size}": max(load.per_second for load in alone),
        }

    def _loaded(self, report: Report, size: str, probes: Sequence[Probe], job: Job, *, clients: int) -> Load:
        load = self._clients.run(probes, job, clients=clients)
        report.row(
            f"product, {size} images: concurrency",
            N=job.limit,
            clients=clients,
            probes_a_call=job.batch,
            **percentiles(load.milliseconds),
            queries_per_second=load.per_second,
        )
        return load

    def exactness(self, report: Report, size: str, codes: Code, queries: Queries) -> tuple[int, int]:
        """Compares whole lists with brute force; how many were equal, and of how many."""
        equal = 0
        for limit in (LIMIT, 2500):
            some = queries if limit == LIMIT else queries[: len(queries) // 4]
            answers = self.lists(some, limit=limit)
            minimum = self.job().minimum_overlap
            for code, answer in zip(some.codes, answers, strict=True):
                truth = brute_force(code, codes, limit, minimum_overlap=minimum)
                expected = [(image_name(row), overlap) for row, overlap in truth.ranked]
                equal += expected == [(candidate.image_id, candidate.overlap) for candidate in answer.candidates]
        compared = len(queries) + len(queries) // 4
        report.row("product: lists equal to brute force, ties included", images=size, compared=compared, equal=equal)
        return equal, compared

    def work(self, report: Report, size: str, client: OpenSearch, codes: Code) -> None:
        """Look-ups and postings a query."""
        met = postings(codes, self._queries.codes, 1 << self._images.model.bits_per_table)
        segments = count_segments(client, self._names.index)
        terms = self._queries.codes[0].size
        report.row(
            "product: work of a query",
            images=size,
            terms=terms,
            segments=segments,
            look_ups=terms * segments,
            postings_mean=float(met.mean()),
            postings_p95=float(np.percentile(met, 95)),
        )
        report.figures[f"postings_a_query_{size}"] = float(met.mean())

    def originals(self, report: Report, size: str, ordinary: Queries, real: Queries) -> None:
        """Recall of the original, of made-up copies and of edits of real photos."""
        for kind, queries in (("made-up near-copies", ordinary), ("edits of real photos", real)):
            rows = [self._rows(answer) for answer in self.lists(queries)]
            recall = recall_of_originals(queries.originals, rows)
            asked = int((queries.originals >= 0).sum())
            report.row(
                f"product: recall of the original in the top {LIMIT}", images=size, of=kind, n=asked, recall=recall
            )
            if queries is real:
                report.figures[f"real_recall_{size}"] = recall

    def giant(self, report: Report, size: str, codes: Code, queries: Queries) -> None:
        """Probes into the giant cluster, in turn with ordinary ones. `codes`: as indexed."""
        into = probes_of(queries)
        spent: dict[str, list[float]] = {"ordinary": [], "giant": []}
        for ordinary, hot in zip(self._enough(self.probes, 2 * len(into)), [*into, *into], strict=False):
            spent["ordinary"].append(timed(self._search, [ordinary], self.job())[0])
            spent["giant"].append(timed(self._search, [hot], self.job())[0])
        met = postings(codes, queries.codes, 1 << self._images.model.bits_per_table)
        for kind, milliseconds in spent.items():
            report.row(
                f"product, {size} images: a probe into the cluster of 100 k copies, N = {LIMIT}",
                probe=kind,
                n=len(milliseconds),
                **percentiles(milliseconds),
                postings=float(met.mean()) if kind == "giant" else report.figures[f"postings_a_query_{size}"],
            )
        ratio = float(np.percentile(spent["giant"], 95) / np.percentile(spent["ordinary"], 95))
        report.figures["hot_cluster_p95_ratio" if size == "1m" else f"hot_cluster_p95_ratio_{size}"] = ratio

    @staticmethod
    def _enough(probes: Sequence[Probe], count: int) -> list[Probe]:
        return [probes[number % len(probes)] for number in range(max(count, len(probes)))]

    @staticmethod
    def _rows(answer: CandidateList) -> npt.NDArray[np.int64]:
        return np.array([row_of_name(candidate.image_id) for candidate in answer.candidates], dtype=np.int64)


def probes_of(queries: Queries) -> list[Probe]:
    """As the ingest worker asks."""
    return [Probe(terms=query_terms(code)) for code in queries.codes]
