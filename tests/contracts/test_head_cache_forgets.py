"""The port HeadCache: what it forgets when it is told to, and where it stands then."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neardup.clusters import ClusterState
from neardup.entries import Entry
from neardup.errors import CacheBehindError, ClusterConflictError
from neardup.ports import HeadCache
from neardup.testing import STEPS, entries_of, make_decision, position_of
from neardup.types import ClusterId, ImageId, Placement, Position
from tests.contracts.conftest import NewCache

NAMES = "abcdef"
IDS = [ImageId(name) for name in NAMES]
LEDGERS = (
    st.lists(st.tuples(st.sampled_from(["place"] * 5 + list(STEPS)), st.sampled_from(NAMES), st.sampled_from(NAMES)))
    .map(entries_of)
    .filter(bool)
)


def apply(cache: HeadCache, *entries: Entry) -> None:
    cache.apply(entries, upto=position_of(entries[-1]))


def placed(entries: list[Entry]) -> dict[ImageId, Placement]:
    return {placement.image_id: placement for placement in ClusterState(entries).placements()}


def test_forgotten_images_are_misses_and_the_position_stays(new_cache: NewCache) -> None:
    cache = new_cache()
    entries = [make_decision(1, "a", "a"), make_decision(2, "b", "a"), make_decision(3, "c", "c")]
    apply(cache, *entries)
    cache.forget([ImageId("b"), ImageId("nobody")], [])
    assert cache.placements(IDS).keys() == {"a", "c"}
    assert cache.position() == position_of(entries[-1])
    later = make_decision(4, "b", "c")
    apply(cache, later)
    assert cache.placements(IDS) == placed([*entries, later])


def test_with_a_cluster_all_that_are_read_through_it_are_forgotten(new_cache: NewCache) -> None:
    cache = new_cache()
    entries = entries_of([*(("place", one, other) for one, other in ("aa", "ba", "cc", "dd")), ("merge", "c", "a")])
    apply(cache, *entries)
    assert cache.placements(IDS) == placed(entries)
    cache.forget([], [ClusterId("a")])
    assert cache.placements(IDS).keys() == {"d"}
    # A later entry about the cluster brings back its head, and with that who is read through it.
    later = make_decision(len(entries) + 1, "e", "a", head=ImageId("a"))
    apply(cache, later)
    known = cache.placements(IDS)
    assert known == {image_id: placed([*entries, later])[image_id] for image_id in known}
    assert known.keys() >= {"a", "b", "d", "e"}


def test_who_was_absent_is_forgotten_too(new_cache: NewCache) -> None:
    cache = new_cache(absent_seconds=60)
    cache.fill([], absent=[ImageId("z"), ImageId("y")], read_at=0)
    cache.forget([ImageId("z")], [])
    assert cache.placements([ImageId("z"), ImageId("y")]) == {ImageId("y"): None}


def test_as_many_as_one_likes_are_forgotten(new_cache: NewCache) -> None:
    cache = new_cache()
    ids = [ImageId(f"image {number}") for number in range(2500)]
    apply(cache, *(make_decision(seq, image_id, "a") for seq, image_id in enumerate(ids, start=1)))
    assert len(cache.placements(ids)) == len(ids)
    cache.forget(iter(ids[1:]), iter([ClusterId(f"cluster {number}") for number in range(2500)]))
    assert cache.placements(ids).keys() == {ids[0]}
    cache.forget([], [])
    assert cache.placements(ids).keys() == {ids[0]}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=LEDGERS, data=st.data())
def test_what_is_left_is_true_and_reads_of_the_store_bring_back_the_rest(
    new_cache: NewCache, entries: list[Entry], data: st.DataObject
) -> None:
    cache = new_cache()
    for applied, entry in enumerate(entries, start=1):
        apply(cache, entry)
        expected = placed(entries[:applied])
        images, clusters = (data.draw(st.sets(st.sampled_from(NAMES))) for _ in range(2))
        cache.forget(map(ImageId, images), map(ClusterId, clusters))
        left = cache.placements(IDS)
        assert left == {image_id: expected[image_id] for image_id in left}
        assert not left.keys() & images
        if data.draw(st.booleans()):
            cache.fill(list(expected.values()), read_at=applied)
            assert cache.placements(IDS) == expected


def test_cleared_up_to_a_position_it_stands_there_and_knows_nothing(new_cache: NewCache) -> None:
    cache = new_cache(stale_seconds=30)
    entries = [make_decision(1, "a", "a"), make_decision(2, "b", "a"), make_decision(3, "c", "c")]
    apply(cache, *entries[:2])
    cache.vouch(2, seconds_ago=0)
    upto = Position(seq=3, ledger_offset=2**40, proposal_offset=2**41)
    cache.clear(upto=upto)
    assert cache.position() == upto
    # What was vouched for was another state.
    with pytest.raises(CacheBehindError):
        cache.placements(IDS)
    cache.vouch(3, seconds_ago=0)
    assert cache.placements(IDS) == {}
    # A read of the store from before is not heard, one from then is.
    expected = placed(list(entries))
    cache.fill([expected[ImageId("a")]], read_at=2)
    assert cache.placements(IDS) == {}
    cache.fill([expected[ImageId("a")]], absent=[ImageId("f")], read_at=3)
    assert cache.placements(IDS) == {ImageId("a"): expected[ImageId("a")], ImageId("f"): None}


def test_cleared_up_to_a_position_it_goes_on_behind_that(new_cache: NewCache) -> None:
    cache = new_cache()
    apply(cache, make_decision(1, "a", "a"))
    cache.clear(upto=Position(seq=7, ledger_offset=9, proposal_offset=8))
    for seq in (2, 7, 9):
        with pytest.raises(ClusterConflictError):
            apply(cache, make_decision(seq, "b", "a"))
    apply(cache, make_decision(8, "c", "a", head=ImageId("a")))
    assert cache.placements(IDS).keys() == {"c"}
    # It may also go back.
    cache.clear(upto=Position(seq=3, ledger_offset=4, proposal_offset=4))
    assert cache.placements(IDS) == {}
    apply(cache, make_decision(4, "d", "d"))
    assert cache.placements(IDS).keys() == {"d"}
