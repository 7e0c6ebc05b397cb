"""Who vouches for the cache, and where an empty one begins."""

from graph.cache_projection import CacheProjection
from graph.freshness import Voucher
from graph.projector import Projector
from neardup.errors import CacheBehindError
from neardup.testing import InMemoryClusterStore, InMemoryHeadCache, InMemoryLedger, ledger_of, position_of
from neardup.types import ImageId, Position

DECISIONS = ledger_of([("a", "a"), ("b", "a"), ("c", "c"), ("d", "c"), ("b", "c")])


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Vouchings(InMemoryHeadCache):
    """Records who vouched for what."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[int, float]] = []

    def vouch(self, seq: int, *, seconds_ago: float) -> None:
        self.heard.append((seq, seconds_ago))


def ledger_with(count: int) -> InMemoryLedger:
    ledger = InMemoryLedger()
    ledger.writer().append(DECISIONS[:count])
    return ledger


def test_under_a_steady_stream_it_vouches_for_the_moment_whose_end_was_passed() -> None:
    ledger, cache, time = InMemoryLedger(), Vouchings(), Time()
    writer = ledger.writer()
    writer.append(DECISIONS[:2])
    voucher = Voucher(ledger, cache, monotonic=time)
    voucher.before_reading()
    writer.append(DECISIONS[2:4])
    voucher.applied(position_of(DECISIONS[0]), at_end=False)
    assert cache.heard == []
    time.now += 0.25
    voucher.before_reading()
    voucher.applied(position_of(DECISIONS[2]), at_end=False)
    assert cache.heard == [(3, 0.25)]


def test_at_the_end_it_vouches_once_a_second() -> None:
    cache, time = Vouchings(), Time()
    voucher = Voucher(ledger_with(2), cache, monotonic=time)
    for _ in range(50):
        voucher.before_reading()
        voucher.applied(position_of(DECISIONS[1]), at_end=True)
        time.now += 0.1
    assert 4 <= len(cache.heard) <= 6


def test_a_projector_vouches_for_the_cache_when_it_has_caught_up() -> None:
    cache = InMemoryHeadCache(stale_seconds=5)
    projector = Projector(
        "cache", ledger=ledger_with(5), projection=CacheProjection(cache, InMemoryClusterStore()), batch=2
    )
    readable = []
    for _ in range(4):
        projector.step()
        try:
            readable.append(cache.placements([ImageId("b")])[ImageId("b")])
        except CacheBehindError:
            readable.append(None)
    assert readable[:2] == [None, None]
    assert readable[2] is not None
    assert readable[2].head == "c"


def test_an_empty_cache_of_a_short_ledger_is_made_from_its_start() -> None:
    store, cache = InMemoryClusterStore(), InMemoryHeadCache()
    store.apply(DECISIONS, upto=position_of(DECISIONS[-1]))
    assert CacheProjection(cache, store, replayed=5).position() == Position()


def test_an_empty_cache_of_a_long_ledger_begins_where_the_graph_is() -> None:
    store, cache = InMemoryClusterStore(), InMemoryHeadCache()
    store.apply(DECISIONS[:4], upto=position_of(DECISIONS[3]))
    projection = CacheProjection(cache, store, replayed=3)
    assert projection.position() == position_of(DECISIONS[3])
    assert projection.position() == position_of(DECISIONS[3])
    assert Projector("cache", ledger=ledger_with(5), projection=projection, batch=9).step() == 1
    assert cache.placements([ImageId("a"), ImageId("b")]).keys() == {"b"}
