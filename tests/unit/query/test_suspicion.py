"""Clusters that grow fast, and clusters that do not hold together."""

import numpy as np
import pytest

from neardup.messages import half
from neardup.settings import AlarmSettings
from neardup.testing import (
    CosineScorer,
    FakeClock,
    InMemoryClusterStore,
    InMemoryHistory,
    InMemoryIndex,
    make_decision,
    position_of,
)
from neardup.types import ClusterId, ImageId, IndexedImage, PairBatch, Position, Scores
from neardup.words import NO_WORD, WORD
from query.suspicion import Suspicion, SuspiciousClusters

HOUR_MS = 3_600_000
NOW = 1_700_000_000_000


class World:
    """Clusters of images whose embeddings are chosen: `spread` is how far a member may lie from the first."""

    def __init__(self) -> None:
        self.store, self.history, self.index = InMemoryClusterStore(), InMemoryHistory(), InMemoryIndex()
        self._random = np.random.default_rng(1)
        self._seq = 0

    def cluster(
        self, name: str, size: int, *, spread: float, at_ms: int = NOW, code: tuple[int, ...] = (0, 0, 0, 0)
    ) -> None:
        first = self._random.normal(size=32).astype(np.float32)
        for number in range(size):
            self._seq += 1
            image_id = name if number == 0 else f"{name}{number}"
            decision = make_decision(self._seq, image_id, name, at_ms=at_ms)
            for projection in (self.store, self.history):
                projection.apply([decision], upto=position_of(decision))
            score = first + spread * self._random.normal(size=32).astype(np.float32)
            image = IndexedImage(
                image_id=ImageId(image_id),
                version=1,
                seq=self._seq,
                code=np.array(code, dtype=np.uint32 if max(code) >= WORD else np.uint16),
                score=half(score),
            )
            self.index.apply([image], [], upto=Position(seq=self._seq))

    def looking(self, scorer: CosineScorer | None = None, **changes: object) -> SuspiciousClusters:
        settings = AlarmSettings.model_validate({"growth_members": 20, "score_bound": 0.8} | changes)
        return SuspiciousClusters(
            history=self.history,
            store=self.store,
            search=self.index,
            scorer=scorer or CosineScorer(),
            settings=settings,
            clock=FakeClock(NOW + 1000),
        )


def told(found: list[Suspicion]) -> dict[str, tuple[str, ...]]:
    return {one.cluster.cluster_id: one.why for one in found}


def test_each_is_suspicious_for_its_own_reason() -> None:
    world = World()
    world.cluster("fine", 12, spread=0.01)
    world.cluster("drifted", 12, spread=3.0)
    world.cluster("fast", 21, spread=0.01)
    world.cluster("both", 30, spread=3.0)
    found = world.looking().find()
    assert told(found) == {"both": ("growth", "score"), "fast": ("growth",), "drifted": ("score",)}
    assert [one.joined for one in found] == [30, 21, 12]
    assert all(one.sampled in {12, 16} for one in found)


def test_what_grew_long_ago_is_not_looked_at() -> None:
    world = World()
    world.cluster("old", 50, spread=3.0, at_ms=NOW - 2 * HOUR_MS)
    assert world.looking().find() == []
    assert told(world.looking(growth_hours=3).find()) == {"old": ("growth", "score")}


def test_small_clusters_are_not_sampled() -> None:
    world = World()
    world.cluster("small", 3, spread=3.0)
    assert world.looking().find() == []
    assert told(world.looking(smallest_cluster=3).find()) == {"small": ("score",)}


def test_a_named_cluster_is_looked_at_whatever_there_is_to_say() -> None:
    world = World()
    world.cluster("fine", 12, spread=0.01)
    (info,) = world.store.clusters([ClusterId("fine")]).values()
    looked = world.looking().look(info)
    assert (looked.why, looked.joined, looked.sampled) == ((), 12, 12)
    assert looked.score == pytest.approx(1.0, abs=0.05)
    assert world.looking().look(info) == looked


def test_without_a_bound_it_is_that_of_the_model() -> None:
    world = World()
    world.cluster("fine", 12, spread=0.01)
    (info,) = world.store.clusters([ClusterId("fine")]).values()
    assert world.looking(score_bound=None).look(info).score_bound == 0.4


def test_overlaps_are_counted_as_searches_count_them() -> None:
    """A place without a word is nothing in common."""

    class Noting(CosineScorer):
        def score(self, batch: PairBatch) -> Scores:
            self.overlaps = set(batch.overlap.tolist())
            return super().score(batch)

    world, scorer = World(), Noting()
    world.cluster("words", 12, spread=0.01, code=(3, 9, WORD | 5, NO_WORD, NO_WORD))
    (info,) = world.store.clusters([ClusterId("words")]).values()
    assert world.looking(scorer).look(info).sampled == 12
    assert scorer.overlaps == {3}
