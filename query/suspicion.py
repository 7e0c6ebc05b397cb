"""Clusters that somebody should look at: those that grow fast, and those whose members do not resemble one another.
Ports only.

The relation is not transitive, so a cluster may drift, one small change after the other; and a picture that many share
within an hour is news, or abuse.
"""

from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Final, Literal

import numpy as np

from neardup.lsh import overlaps_of_each
from neardup.ports import CandidateSearch, Clock, ClusterStore, History, PairScorer
from neardup.settings import AlarmSettings
from neardup.types import ClusterId, ClusterInfo, ImageId, MemberOrder, PairBatch

__all__ = ["Suspicion", "SuspiciousClusters"]

Why = Literal["growth", "score"]

_HOUR_MS: Final = 3_600_000
_LOOKED_AT: Final = 100
"""The clusters that grew most are sampled, at most so many a time."""
_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """What was found of one cluster. `joined`: members that came within the window. `score`: mean over the pairs of
    `sampled` members, None when too few of them could be read. `why`: what is beyond its limit; empty when all is well.
    """

    cluster: ClusterInfo
    joined: int
    sampled: int
    score: float | None
    score_bound: float
    why: tuple[Why, ...]


class SuspiciousClusters:
    """Looks at the clusters that grew, or at some that are named."""

    def __init__(
        self,
        *,
        history: History,
        store: ClusterStore,
        search: CandidateSearch,
        scorer: PairScorer,
        settings: AlarmSettings,
        clock: Clock,
    ) -> None:
        self._history = history
        self._store = store
        self._search = search
        self._scorer = scorer
        self._settings = settings
        self._clock = clock

    def find(self) -> list[Suspicion]:
        """The suspicious ones among the clusters that grew most within the window, the fastest first. Raises
        UnavailableError."""
        grown = self._grown()
        found = self._store.clusters(list(grown))
        # Segments of one root count together.
        infos = {info.cluster_id: info for info in found.values()}
        joined: dict[ClusterId, int] = {}
        for asked, info in found.items():
            joined[info.cluster_id] = joined.get(info.cluster_id, 0) + grown[asked]
        looked = (self._look(infos[name], count) for name, count in sorted(joined.items(), key=lambda row: -row[1]))
        return [suspicion for suspicion in looked if suspicion.why]

    def look(self, info: ClusterInfo) -> Suspicion:
        """What there is to say of one cluster, suspicious or not. Raises UnavailableError."""
        grown = self._grown()
        return self._look(info, sum(grown.get(part, 0) for part in (info.cluster_id, *info.merged)))

    def _grown(self) -> dict[ClusterId, int]:
        since = self._clock.now_ms() - round(self._settings.growth_hours * _HOUR_MS)
        return self._history.growth(since, limit=_LOOKED_AT)

    def _look(self, info: ClusterInfo, joined: int) -> Suspicion:
        settings = self._settings
        score, sampled, bound = None, 0, settings.score_bound or 0.0
        if info.size >= settings.smallest_cluster:
            score, sampled, bound = self._sampled_score(info)
        why: list[Why] = []
        if joined > settings.growth_members:
            why.append("growth")
        if score is not None and score < bound:
            why.append("score")
        return Suspicion(cluster=info, joined=joined, sampled=sampled, score=score, score_bound=bound, why=tuple(why))

    def _sampled_score(self, info: ClusterInfo) -> tuple[float | None, int, float]:
        """Mean score over all pairs of a sample, the size of the sample, and the bound of the model that scored it."""
        images = list(self._search.images(self._sample(info)).values())
        pairs = list(combinations(range(len(images)), 2))
        bound = self._settings.score_bound
        if not pairs:
            return None, len(images), bound or 0.0
        scores, codes = (np.stack(column) for column in zip(*((each.score, each.code) for each in images), strict=True))
        one, other = np.array(pairs).T
        batch = PairBatch(
            probes=scores,
            candidates=scores[other],
            probe_of=one,
            overlap=np.stack(overlaps_of_each([code[:, None] for code in codes], codes))[one, other],
        )
        scored = self._scorer.score(batch)
        if bound is None:
            bound = self._scorer.calibration(scored.model_version).head_bound
        return float(scored.values.mean()), len(images), bound

    def _sample(self, info: ClusterInfo) -> list[ImageId]:
        """Members from both ends, where a drift shows, the head among them; the same ones while the cluster stays the
        same."""
        orders: tuple[MemberOrder, MemberOrder] = ("oldest", "newest")
        members = {
            member.image_id: None
            for order in orders
            for member in self._store.members(info.cluster_id, limit=_PAGE, order=order).members
            if member.image_id != info.head
        }
        count = min(self._settings.sample - 1, len(members))
        chosen = Random(f"{info.cluster_id} {info.size}").sample(list(members), count)  # noqa: S311
        return [info.head, *chosen]
