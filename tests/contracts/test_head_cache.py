"""The port HeadCache, in memory and on Redis."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.redis_cache import RedisHeadCache, setup_functions
from neardup.clusters import ClusterState
from neardup.entries import Entry
from neardup.errors import ClusterConflictError
from neardup.ports import HeadCache
from neardup.redis import connect
from neardup.settings import RedisSettings
from neardup.testing import STEPS, InMemoryHeadCache, entries_of, make_decision, position_of
from neardup.types import ImageId, Placement, Position


def ledgers(*left_out: str) -> st.SearchStrategy[list[Entry]]:
    """Ledgers of at least one entry, without these steps."""
    steps = [step for step in [*["place"] * 5, *STEPS] if step not in left_out]
    names = st.sampled_from("abcdef")
    return st.lists(st.tuples(st.sampled_from(steps), names, names), max_size=40).map(entries_of).filter(bool)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
def cache(request: pytest.FixtureRequest) -> Iterator[HeadCache]:
    if request.param == "memory":
        yield InMemoryHeadCache()
        return
    settings = RedisSettings(timeout_seconds=5)
    client = connect(settings, request.getfixturevalue("engines").redis_url)
    setup_functions(client)
    cache = RedisHeadCache(client, "contractcache", ttl_seconds=600)
    cache.clear()
    yield cache
    cache.clear()
    client.close()


def apply(cache: HeadCache, *entries: Entry) -> None:
    cache.apply(entries, upto=position_of(entries[-1]))


def placed(decisions: Sequence[Entry]) -> dict[ImageId, Placement]:
    return {placement.image_id: placement for placement in ClusterState(decisions).placements()}


def test_empty(cache: HeadCache) -> None:
    assert cache.position() == Position()
    assert cache.placements([ImageId("a")]) == {}
    assert cache.placements([]) == {}


def test_position_is_that_of_the_last_decision(cache: HeadCache) -> None:
    upto = Position(seq=1, ledger_offset=2**40, proposal_offset=2**41)
    cache.apply([make_decision(1, "a", "a")], upto=upto)
    assert cache.position() == upto
    cache.apply([], upto=Position(seq=9))
    assert cache.position() == upto


@pytest.mark.parametrize("seq", [1, 2, 4])
def test_only_the_next_seq_is_accepted(cache: HeadCache, seq: int) -> None:
    apply(cache, make_decision(1, "a", "a"), make_decision(2, "b", "a"))
    with pytest.raises(ClusterConflictError, match=f"seq {seq}"):
        apply(cache, make_decision(seq, "c", "a"))
    assert cache.position().seq == 2
    assert cache.placements([ImageId("c")]) == {}


def test_a_gap_or_a_wrong_position_is_a_mistake(cache: HeadCache) -> None:
    first, third = make_decision(1, "a", "a"), make_decision(3, "b", "a")
    with pytest.raises(ValueError, match="seq 3 follows 1"):
        cache.apply([first, third], upto=position_of(third))
    with pytest.raises(ValueError, match="upto"):
        cache.apply([first], upto=Position(seq=2))
    assert cache.position() == Position()


def test_a_new_head_is_seen_through_every_member(cache: HeadCache) -> None:
    apply(cache, make_decision(1, "a", "a"), make_decision(2, "b", "a"))
    apply(cache, make_decision(3, "c", "a", head=ImageId("c")))
    found = cache.placements([ImageId("a"), ImageId("b"), ImageId("c")])
    assert {placement and placement.head for placement in found.values()} == {"c"}


@pytest.mark.parametrize("name", ["a/b c.jpg", "ü" * 256, "{x}:{y}", "\U0001f4f7", " "])
def test_any_text_is_an_id(cache: HeadCache, name: str) -> None:
    decisions = [make_decision(1, name, name), make_decision(2, name + "2", name)]
    apply(cache, *decisions)
    assert cache.placements([ImageId(name), ImageId(name + "2")]) == placed(decisions)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(decisions=ledgers(), batch=st.integers(1, 9))
def test_any_ledger_gives_what_the_fold_gives(cache: HeadCache, decisions: list[Entry], batch: int) -> None:
    cache.clear()
    for start in range(0, len(decisions), batch):
        apply(cache, *decisions[start : start + batch])
    expected = placed(decisions)
    assert cache.placements([*map(ImageId, "abcdef"), ImageId("never decided")]) == expected
    assert cache.position() == position_of(decisions[-1])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(decisions=ledgers("erase"), data=st.data())
def test_late_fills_are_harmless(cache: HeadCache, decisions: list[Entry], data: st.DataObject) -> None:
    """Reads of the store, from before or after what the cache has applied, arrive at any later moment."""
    cache.clear()
    ids = [ImageId(name) for name in "abcdef"]
    known = 0
    for applied, decision in enumerate(decisions):
        read_at = data.draw(st.integers(0, len(decisions)), label="read_at")
        cache.fill(list(placed(decisions[:read_at]).values()), read_at=read_at)
        if read_at >= applied:
            known = max(known, read_at)
        assert cache.placements(ids) == placed(decisions[:known])
        apply(cache, decision)
        known = max(known, applied + 1)
        assert cache.placements(ids) == placed(decisions[:known])


def test_a_fill_from_before_the_applied_seq_is_ignored(cache: HeadCache) -> None:
    decisions = [make_decision(1, "a", "a"), make_decision(2, "b", "b"), make_decision(3, "c", "c")]
    apply(cache, *decisions[:2])
    stale = Placement(
        image_id=ImageId("z"),
        cluster_id=decisions[0].cluster_id,
        segment=decisions[0].cluster_id,
        head=ImageId("a"),
        version=1,
        run=0,
        seq=1,
    )
    cache.fill([stale], read_at=1)
    assert cache.placements([ImageId("z")]) == {}
    cache.fill([stale], read_at=2)
    assert cache.placements([ImageId("z")]) == {ImageId("z"): stale}


def test_clear_forgets_the_position_too(cache: HeadCache) -> None:
    apply(cache, make_decision(1, "a", "a"))
    cache.clear()
    assert cache.position() == Position()
    assert cache.placements([ImageId("a")]) == {}
    apply(cache, make_decision(1, "b", "b"))
    assert cache.position().seq == 1
