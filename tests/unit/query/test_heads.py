from collections.abc import Sequence

import pytest

from neardup.errors import CacheBehindError, CacheUnavailableError, ClusterStoreUnavailableError
from neardup.testing import InMemoryClusterStore, InMemoryHeadCache, ledger_of, position_of
from neardup.types import ImageId, Placement, Position
from query.heads import Heads

DECISIONS = ledger_of([("a", "a"), ("b", "a"), ("c", "c"), ("b", "c")])
IDS = [ImageId(name) for name in "abc"]


class Cache(InMemoryHeadCache):
    def __init__(self, *, broken: str = "") -> None:
        super().__init__()
        self.broken = broken
        self.asked = 0

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement | None]:
        self.asked += 1
        if "read" in self.broken:
            raise CacheUnavailableError("gone")
        if "behind" in self.broken:
            raise CacheBehindError("behind")
        return super().placements(image_ids)

    def fill(self, placements: Sequence[Placement], *, absent: Sequence[ImageId] = (), read_at: int) -> None:
        if "fill" in self.broken:
            raise CacheUnavailableError("gone")
        super().fill(placements, absent=absent, read_at=read_at)


class Store(InMemoryClusterStore):
    """Counts; `racing` decisions are applied between reading the position and reading the placements."""

    def __init__(self, upto: int) -> None:
        super().__init__()
        self.asked: list[list[ImageId]] = []
        self.racing = 0
        self.gone = False
        self.apply(DECISIONS[:upto], upto=position_of(DECISIONS[upto - 1]))

    def position(self) -> Position:
        if self.gone:
            raise ClusterStoreUnavailableError("gone")
        return super().position()

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        if self.gone:
            raise ClusterStoreUnavailableError("gone")
        self.asked.append(list(image_ids))
        for decision in DECISIONS[super().position().seq :][: self.racing]:
            self.apply([decision], upto=position_of(decision))
        return super().placements(image_ids)


def heads(found: dict[ImageId, Placement]) -> dict[str, str]:
    return {image_id: placement.head for image_id, placement in found.items()}


def test_the_cache_answers_alone_when_it_knows_all() -> None:
    store, cache = Store(4), Cache()
    cache.apply(DECISIONS, upto=position_of(DECISIONS[-1]))
    store.gone = True
    assert heads(Heads(store, cache).placements(IDS)) == {"a": "a", "b": "c", "c": "c"}


def test_the_graph_answers_for_what_the_cache_does_not_know_once() -> None:
    store, cache = Store(4), Cache()
    module = Heads(store, cache)
    assert heads(module.placements(IDS)) == {"a": "a", "b": "c", "c": "c"}
    assert heads(module.placements(IDS)) == {"a": "a", "b": "c", "c": "c"}
    assert store.asked == [IDS]


def test_only_the_missing_are_asked_for() -> None:
    store, cache = Store(4), Cache()
    module = Heads(store, cache)
    module.placements(IDS[:1])
    assert heads(module.placements(IDS)) == {"a": "a", "b": "c", "c": "c"}
    assert store.asked == [["a"], ["b", "c"]]


def test_unknown_images_are_absent_and_remembered_as_that() -> None:
    store, cache = Store(4), Cache()
    module = Heads(store, cache)
    for _ in range(3):
        assert module.placements([ImageId("?"), ImageId("a")]).keys() == {"a"}
    assert store.asked == [["?", "a"]]
    assert module.placements([]) == {}
    assert (module.counts.hits, module.counts.known_absent, module.counts.misses) == (2, 2, 2)
    assert module.counts.hit_rate == pytest.approx(2 / 3)


@pytest.mark.parametrize("broken", ["read", "fill", "read fill", "behind"])
def test_losing_the_cache_costs_latency_only(broken: str) -> None:
    assert heads(Heads(Store(4), Cache(broken=broken)).placements(IDS)) == {"a": "a", "b": "c", "c": "c"}


@pytest.mark.parametrize("broken", ["read", "behind"])
def test_a_cache_that_fails_is_left_alone_for_a_moment(broken: str) -> None:
    """A Redis that hangs costs a time-out; not each look-up shall pay it."""
    cache, now = Cache(broken=broken), [0.0]
    module = Heads(Store(4), cache, monotonic=lambda: now[0])
    for _ in range(10):
        assert heads(module.placements(IDS)) == {"a": "a", "b": "c", "c": "c"}
    assert cache.asked == 1
    now[0] = 1.5
    cache.broken = ""
    module.placements(IDS)
    module.placements(IDS)
    assert cache.asked == 3


def test_losing_the_graph_is_told() -> None:
    store = Store(4)
    store.gone = True
    for cache in (Cache(), Cache(broken="read")):
        with pytest.raises(ClusterStoreUnavailableError):
            Heads(store, cache).placements(IDS)


def test_a_read_that_a_decision_overtook_does_not_stay_in_the_cache() -> None:
    """The cache has applied seq 4 before a slow reader brings what the graph said at seq 2."""
    store, cache = Store(2), Cache()
    stale = store.placements([ImageId("b")])
    cache.apply(DECISIONS, upto=position_of(DECISIONS[-1]))
    cache.fill(list(stale.values()), read_at=2)
    assert heads(Heads(Store(4), cache).placements([ImageId("b")])) == {"b": "c"}


def test_the_position_is_read_before_the_placements() -> None:
    """Read the other way round, what was read at seq 2 would be taken for what holds at seq 4."""
    store, cache = Store(2), Cache()
    store.racing = 2
    seen: list[int] = []
    original = cache.fill

    def fill(placements: Sequence[Placement], *, absent: Sequence[ImageId] = (), read_at: int) -> None:
        seen.append(read_at)
        original(placements, absent=absent, read_at=read_at)

    cache.fill = fill  # type: ignore[method-assign]
    Heads(store, cache).placements([ImageId("b")])
    assert seen == [2]
