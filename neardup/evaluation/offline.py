"""Clusters without engines: exact term overlap in numpy, the scorer in onnxruntime, the assignment policy, in an order
of arrival. What `neardup evaluate` does with engines, in less time; the quality benchmark prints both side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from graph.assignment import PlacedMatch, Said, assign, matching
from neardup.evaluation.judgement import Judgement, Pair, judge_rows
from neardup.evaluation.manifest import Row, originals
from neardup.lsh import LshModel, overlaps
from neardup.messages import half
from neardup.settings import Settings
from neardup.types import ClusterId, ClusterInfo, Code, Embeddings, Half, ImageId, Match, PairBatch, Vector
from scorer.calibration import load
from scorer.groups import grouped
from scorer.layout import MODEL_FILE, newest_version, shipped_models
from scorer.runtime import OnnxModel
from scorer.wire import OUTPUT

__all__ = ["Model", "OfflineCorpus", "codes_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A version of the scorer with its calibration."""

    scorer: OnnxModel
    version: int
    threshold: float
    witness_bound: float
    head_bound: float

    @classmethod
    def load(cls, folder: Path | None = None, version: int | None = None) -> "Model":
        """From a folder of versions; without one the shipped ones, without a version the newest. Raises ConfigError."""
        models = folder or shipped_models()
        number = newest_version(models) if version is None else version
        bounds = load(models / str(number)).calibration()
        return cls(
            scorer=OnnxModel.load(models / str(number) / MODEL_FILE),
            version=number,
            threshold=bounds.match_threshold,
            witness_bound=bounds.witness_bound,
            head_bound=bounds.head_bound,
        )

    def score(self, probe: Half, candidates: Half, overlap: npt.NDArray[np.int32]) -> Vector:
        """Scores of a probe, (dimension,), and candidates, (n, dimension), with their overlaps, (n,): shape (n,)."""
        of_first = np.zeros(len(candidates), np.intp)
        batch = PairBatch(probes=probe[None], candidates=candidates, probe_of=of_first, overlap=overlap)
        arrays, places = grouped(batch)
        values: Vector = self.scorer.run(arrays)[OUTPUT].astype(np.float32, copy=False).ravel()[places]
        return values


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Of one image among all others: row numbers, term overlaps and scores, each of shape (n,), all that share enough
    terms."""

    rows: npt.NDArray[np.intp]
    overlap: npt.NDArray[np.int32]
    score: Vector


def codes_of(embeddings: Sequence[Embeddings], settings: Settings, *, words: int) -> tuple[Code, Code]:
    """What images ask for, (n, tables + words, probes + 1), and their own codes, (n, tables + words). `words`: those of
    the embedder."""
    lsh = settings.lsh
    vectors = np.stack([each.lsh for each in embeddings])
    terms = LshModel(
        dimension=vectors.shape[1],
        embedding_version="offline",
        tables=lsh.tables,
        bits_per_table=lsh.bits_per_table,
        seed=lsh.seed,
        words=words,
    )
    queries = terms.query_codes(vectors, probes=settings.search.probes)
    return queries, np.ascontiguousarray(queries[:, :, 0])


class OfflineCorpus:
    """Images with all their candidates, scored once, to be clustered in any order under any bounds."""

    def __init__(
        self, rows: Sequence[Row], embeddings: Sequence[Embeddings], model: Model, settings: Settings, *, words: int
    ) -> None:
        self.rows = rows
        self.model = model
        self._search = settings.search
        self._assign = settings.assign
        self._queries, self._codes = codes_of(embeddings, settings, words=words)
        self._scores = half(np.stack([each.score for each in embeddings]))
        self._candidates = [self._find(number) for number in range(len(rows))]

    def heads(self, *, threshold: float, head_bound: float, seed: int) -> dict[ImageId, ImageId]:
        """Image -> head, when the images arrive in an order by `seed`. A witness bound above the threshold is that."""
        order = list(range(len(self.rows)))
        Random(seed).shuffle(order)  # noqa: S311 - reproducible, not secret
        arrival = np.empty(len(order), np.intp)
        arrival[order] = np.arange(len(order))
        searchable = np.zeros(len(order), np.bool_)
        cluster_of: dict[ImageId, ClusterInfo] = {}
        by_id = {row.image_id: number for number, row in enumerate(self.rows)}
        for seq, number in enumerate(order, start=1):
            image_id = self.rows[number].image_id
            found = self._found(number, searchable, arrival)
            assigned = assign(
                image_id,
                own=ClusterId(image_id),
                current=None,
                said=Said(),
                matches=matching(
                    [
                        PlacedMatch(match=match, cluster=cluster_of[match.image_id])
                        for match in self._matches(found, min(threshold, self.model.witness_bound))
                    ],
                    threshold,
                ),
                any_candidate=len(found.rows) > 0,
                head_bound=head_bound,
                enough_members=self._assign.enough_members,
                enough_exemplars=self._assign.enough_exemplars,
                head_score=lambda head, number=number: self.pair_score(number, by_id[head]),  # type: ignore[misc]
            )
            cluster_of[image_id] = cluster_of.get(assigned.head) or ClusterInfo(
                cluster_id=assigned.cluster_id, head=assigned.head, size=1, since=seq, exemplars=1
            )
            searchable[number] = assigned.indexed
        return {image_id: cluster.head for image_id, cluster in cluster_of.items()}

    def judged(self, *, seed: int) -> Judgement:
        """The judgement under the model's own bounds."""
        heads = self.heads(threshold=self.model.threshold, head_bound=self.model.head_bound, seed=seed)
        return judge_rows(self.rows, heads, self._pairs(), threshold=self.model.threshold)

    def pairs(self) -> tuple[npt.NDArray[np.bool_], Vector]:
        """Of every image with each of its best candidates among all others: whether both have one source_id, and the
        score; each of shape (pairs,)."""
        everything = np.ones(len(self.rows), np.bool_)
        arrival = np.arange(len(self.rows))
        owners = np.unique([row.source_id for row in self.rows], return_inverse=True)[1]
        found = [self._found(number, everything, arrival) for number in range(len(self.rows))]
        truth = [owners[each.rows] == owners[number] for number, each in enumerate(found)]
        return np.concatenate(truth), np.concatenate([each.score for each in found])

    def pair_score(self, number: int, other: int) -> float:
        """The score of two rows, candidates or not."""
        candidates = self._candidates[number]
        place = np.flatnonzero(candidates.rows == other)
        if len(place):
            return float(candidates.score[place[0]])
        overlap = overlaps(self._queries[number], self._codes[other : other + 1])
        return float(self.model.score(self._scores[number], self._scores[other][None], overlap)[0])

    def _find(self, number: int) -> _Candidates:
        counts = overlaps(self._queries[number], self._codes)
        counts[number] = 0
        rows = np.flatnonzero(counts >= self._search.minimum_overlap)
        if not len(rows):
            return _Candidates(rows, counts[rows], np.empty(0, np.float32))
        scores = self.model.score(self._scores[number], self._scores[rows], counts[rows])
        return _Candidates(rows, counts[rows], scores)

    def _found(self, number: int, searchable: npt.NDArray[np.bool_], arrival: npt.NDArray[np.intp]) -> _Candidates:
        """What a search brings up now: as the index ranks, by overlap, ties by age."""
        all_of_them = self._candidates[number]
        now = np.flatnonzero(searchable[all_of_them.rows])
        if len(now) > self._search.candidate_limit:
            ranked = np.lexsort((arrival[all_of_them.rows[now]], -all_of_them.overlap[now]))
            now = now[ranked[: self._search.candidate_limit]]
        return _Candidates(all_of_them.rows[now], all_of_them.overlap[now], all_of_them.score[now])

    def _matches(self, found: _Candidates, bound: float) -> list[Match]:
        """Those that count, best first."""
        matches = [
            Match(image_id=self.rows[row].image_id, overlap=int(overlap), score=float(score))
            for row, overlap, score in zip(found.rows, found.overlap, found.score, strict=True)
            if score >= bound
        ]
        matches.sort(key=lambda match: (-match.score, -match.overlap, match.image_id))
        return matches

    def _pairs(self) -> dict[ImageId, Pair]:
        """Every copy as a probe of all the others, as `neardup evaluate` asks again."""
        firsts = originals(self.rows)
        by_id = {row.image_id: number for number, row in enumerate(self.rows)}
        everything, arrival = np.ones(len(self.rows), np.bool_), np.arange(len(self.rows))
        pairs = {}
        for number, row in enumerate(self.rows):
            first = by_id[firsts[row.source_id].image_id]
            if first == number:
                continue
            candidate = bool((self._found(number, everything, arrival).rows == first).any())
            score = self.pair_score(number, first) if candidate else None
            pairs[row.image_id] = Pair(candidate=candidate, score=score)
        return pairs
