"""Clusters without engines: exact term overlap in numpy, the scorer in onnxruntime, the assignment policy, in an order
of arrival. What `neardup evaluate` does with engines, in less time; the benchmark prints both side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from graph.assignment import PlacedMatch, Said, assign
from neardup.evaluation.judgement import Judgement, Pair, judge_rows
from neardup.evaluation.manifest import Row, originals
from neardup.lsh import LshModel, overlaps
from neardup.messages import half
from neardup.settings import Settings
from neardup.types import ClusterId, ClusterInfo, Code, Embeddings, ImageId, Match, Vector
from scorer.calibration import load
from scorer.layout import newest_version, shipped_models
from scorer.runtime import OnnxModel

__all__ = ["Model", "cluster_offline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The scorer: `folder` holds numbered versions, the newest counts."""

    scorer: OnnxModel
    threshold: float
    head_bound: float

    @classmethod
    def load(cls, folder: Path | None = None) -> "Model":
        """The shipped one, or the one in `folder`. Raises ConfigError."""
        models = folder or shipped_models()
        version = newest_version(models)
        record = load(models / str(version))
        return cls(
            scorer=OnnxModel.load(models, version), threshold=record.match_threshold, head_bound=record.head_bound
        )

    def score(self, probe: Vector, candidates: Vector, overlap: np.ndarray) -> Vector:
        """Scores of one probe (dimension,) with candidates (n, dimension), shape (n,)."""
        (values,) = self.scorer.run(
            {
                "probe": np.repeat(probe[None], len(candidates), axis=0),
                "candidate": candidates,
                "overlap": overlap.astype(np.float32)[:, None],
            }
        ).values()
        return values


def cluster_offline(
    rows: Sequence[Row], embeddings: Sequence[Embeddings], model: Model, settings: Settings, *, seed: int
) -> Judgement:
    """The judgement of these rows, which arrive in an order by `seed`."""
    return _Offline(rows, embeddings, model, settings).run(seed)


class _Offline:
    def __init__(self, rows: Sequence[Row], embeddings: Sequence[Embeddings], model: Model, settings: Settings) -> None:
        lsh = settings.lsh
        vectors = np.stack([each.lsh for each in embeddings])
        model_of_terms = LshModel(
            dimension=vectors.shape[1],
            embedding_version="offline",
            tables=lsh.tables,
            bits_per_table=lsh.bits_per_table,
            seed=lsh.seed,
        )
        self._rows = rows
        self._model = model
        self._search = settings.search
        self._assign = settings.assign
        self._queries = model_of_terms.query_codes(vectors, probes=settings.search.probes)
        self._codes: Code = np.ascontiguousarray(self._queries[:, :, 0])
        self._scores = half(np.stack([each.score for each in embeddings]))

    def run(self, seed: int) -> Judgement:
        heads = self._clusters(seed)
        return judge_rows(self._rows, heads, self._pairs(), threshold=self._model.threshold)

    def _clusters(self, seed: int) -> dict[ImageId, ImageId]:
        order = list(range(len(self._rows)))
        Random(seed).shuffle(order)
        by_id = {row.image_id: number for number, row in enumerate(self._rows)}
        cluster_of: dict[ImageId, ClusterInfo] = {}
        searchable: list[int] = []
        for seq, number in enumerate(order, start=1):
            image_id = self._rows[number].image_id
            found, matches = self._matches(number, np.array(searchable, dtype=np.int64))

            def head_score(head: ImageId, number: int = number) -> float:
                return float(self._score(number, np.array([by_id[head]]))[0])

            assigned = assign(
                image_id,
                own=ClusterId(image_id),
                current=None,
                said=Said(),
                matches=[PlacedMatch(match=match, cluster=cluster_of[match.image_id]) for match in matches],
                any_candidate=found > 0,
                head_bound=self._model.head_bound,
                enough_members=self._assign.enough_members,
                enough_exemplars=self._assign.enough_exemplars,
                head_score=head_score,
            )
            joined = cluster_of.get(assigned.head)
            cluster_of[image_id] = joined or ClusterInfo(
                cluster_id=assigned.cluster_id, head=assigned.head, size=1, since=seq, exemplars=1
            )
            if assigned.indexed:
                searchable.append(number)
        return {image_id: cluster.head for image_id, cluster in cluster_of.items()}

    def _matches(self, number: int, corpus: np.ndarray) -> tuple[int, list[Match]]:
        """How many candidates there are, and the matches among them at the threshold, best first."""
        near, counts = self._candidates(number, corpus)
        if not len(near):
            return 0, []
        scores = self._model.score(self._scores[number], self._scores[near], counts)
        matches = [
            Match(image_id=self._rows[row].image_id, overlap=int(count), score=float(score))
            for row, count, score in zip(near, counts, scores, strict=True)
            if score >= self._model.threshold
        ]
        matches.sort(key=lambda match: (-match.score, -match.overlap, match.image_id))
        return len(near), matches

    def _candidates(self, number: int, corpus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of `corpus`, which is in the order of arrival, and their overlaps, as the index ranks them."""
        if not len(corpus):
            return corpus, corpus
        counts = overlaps(self._queries[number], self._codes[corpus])
        able = np.flatnonzero(counts >= self._search.minimum_overlap)
        best = able[np.argsort(-counts[able], kind="stable")][: self._search.candidate_limit]
        return corpus[best], counts[best]

    def _score(self, number: int, others: np.ndarray) -> Vector:
        counts = overlaps(self._queries[number], self._codes[others])
        return self._model.score(self._scores[number], self._scores[others], counts)

    def _pairs(self) -> dict[ImageId, Pair]:
        """Every copy as a probe of all the others, as `neardup evaluate` asks again."""
        firsts = originals(self._rows)
        by_id = {row.image_id: number for number, row in enumerate(self._rows)}
        everything = np.arange(len(self._rows))
        pairs = {}
        for number, row in enumerate(self._rows):
            first = by_id[firsts[row.source_id].image_id]
            if first == number:
                continue
            near, _ = self._candidates(number, np.delete(everything, number))
            candidate = bool((near == first).any())
            score = float(self._score(number, np.array([first]))[0]) if candidate else None
            pairs[row.image_id] = Pair(candidate=candidate, score=score)
        return pairs
