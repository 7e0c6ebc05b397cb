"""The port HeadCache: when it may be read, and what it says of images that are not there."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.errors import CacheBehindError
from neardup.ports import HeadCache
from neardup.testing import ledger_of, make_decision, position_of
from neardup.types import ImageId, Placement, Position
from tests.contracts.conftest import NewCache

MOVES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), min_size=1, max_size=30)
IDS = [ImageId(name) for name in "abcdef"]


def test_it_is_read_only_while_somebody_vouches(new_cache: NewCache) -> None:
    cache = new_cache(stale_seconds=30)
    decision = make_decision(1, "a", "a")
    with pytest.raises(CacheBehindError, match="30 s ago"):
        cache.placements([ImageId("a")])
    cache.apply([decision], upto=position_of(decision))
    with pytest.raises(CacheBehindError):
        cache.placements([ImageId("a")])
    cache.vouch(1, seconds_ago=0.5)
    assert cache.placements([ImageId("a")]).keys() == {"a"}
    cache.vouch(1, seconds_ago=31)
    with pytest.raises(CacheBehindError):
        cache.placements([ImageId("a")])


def test_who_vouches_for_more_than_there_is_is_not_heard(new_cache: NewCache) -> None:
    """The cache has lost writes since the projector's last step."""
    cache = new_cache(stale_seconds=30)
    decision = make_decision(1, "a", "a")
    cache.apply([decision], upto=position_of(decision))
    cache.vouch(2, seconds_ago=0)
    with pytest.raises(CacheBehindError):
        cache.placements([ImageId("a")])


def test_cleared_it_is_nobodys_to_read(new_cache: NewCache) -> None:
    cache = new_cache(stale_seconds=30)
    cache.vouch(0, seconds_ago=0)
    assert cache.placements(IDS) == {}
    cache.clear()
    with pytest.raises(CacheBehindError):
        cache.placements(IDS)


def test_an_image_that_is_not_there_is_known_to_be_absent_for_a_moment(new_cache: NewCache) -> None:
    cache = new_cache(absent_seconds=0.2)
    cache.fill([], absent=[ImageId("z")], read_at=0)
    assert cache.placements([ImageId("z"), ImageId("y")]) == {ImageId("z"): None}
    time.sleep(0.3)
    assert cache.placements([ImageId("z")]) == {}


def test_a_decision_comes_before_what_was_said_of_its_absence(new_cache: NewCache) -> None:
    cache = new_cache(absent_seconds=60)
    cache.fill([], absent=[ImageId("a")], read_at=0)
    decision = make_decision(1, "a", "a")
    cache.apply([decision], upto=position_of(decision))
    assert cache.placements([ImageId("a")])[ImageId("a")] is not None
    # A read from before the decision comes late.
    cache.fill([], absent=[ImageId("a")], read_at=0)
    assert cache.placements([ImageId("a")])[ImageId("a")] is not None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES, data=st.data())
def test_what_was_absent_never_hides_a_decision(
    new_cache: NewCache, moves: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Reads of the store from before or after what the cache has applied, present and absent images, at any moment."""
    cache = new_cache(absent_seconds=60)
    decisions = ledger_of(moves)
    known = 0
    for applied, decision in enumerate(decisions):
        read_at = data.draw(st.integers(0, len(decisions)), label="read_at")
        found = placed(decisions[:read_at])
        cache.fill(list(found.values()), absent=[name for name in IDS if name not in found], read_at=read_at)
        if read_at >= applied:
            known = max(known, read_at)
        check(cache, decisions[:known])
        cache.apply([decision], upto=position_of(decision))
        known = max(known, applied + 1)
        check(cache, decisions[:known])


def test_it_can_begin_anywhere_when_it_is_nowhere(new_cache: NewCache) -> None:
    cache = new_cache()
    start = Position(seq=7, ledger_offset=9, proposal_offset=8)
    cache.begin(start)
    assert cache.position() == start
    decision = make_decision(8, "b", "a")
    cache.apply([decision], upto=position_of(decision))
    assert cache.placements([ImageId("a"), ImageId("b")]).keys() == {"b"}


def test_where_it_stands_it_does_not_begin(new_cache: NewCache) -> None:
    cache = new_cache(stale_seconds=30)
    decision = make_decision(1, "a", "a")
    cache.apply([decision], upto=position_of(decision))
    cache.vouch(1, seconds_ago=0)
    cache.begin(Position(seq=7, ledger_offset=9, proposal_offset=8))
    assert cache.position() == position_of(decision)
    assert cache.placements([ImageId("a")]).keys() == {"a"}


def placed(decisions: list) -> dict[ImageId, Placement]:  # type: ignore[type-arg]
    return {placement.image_id: placement for placement in ClusterState(decisions).placements()}


def check(cache: HeadCache, decisions: list) -> None:  # type: ignore[type-arg]
    """What is given is what was last decided; absent is only said of what is not there."""
    expected = placed(decisions)
    for image_id, placement in cache.placements(IDS).items():
        assert placement == expected.get(image_id)
    assert expected.keys() <= cache.placements(IDS).keys()
