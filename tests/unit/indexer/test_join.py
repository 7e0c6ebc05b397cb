import numpy as np
import pytest

from indexer.join import Arrival, Join, Pair, Parked, Side, image_of
from neardup.types import Image, ImageId

LSH, SCORE = Side.LSH, Side.SCORE
GRACE = 100


def arrival(side: Side, name: str, offset: int, *, version: int = 1, at_ms: int = 0, partition: int = 0) -> Arrival:
    return Arrival(
        side=side,
        image_id=ImageId(name),
        version=version,
        embedding=np.array([version, offset], dtype=np.float32),
        metadata={"side": str(side), str(side): "1"},
        partition=partition,
        offset=offset,
        at_ms=at_ms,
        raw=b"bytes",
    )


def parked(side: Side, name: str, offset: int = 0, *, version: int = 1, partition: int = 0) -> Parked:
    return Parked(side=side, image_id=ImageId(name), version=version, partition=partition, offset=offset)


def made(pair: Pair | None) -> Image:
    assert pair is not None
    assert isinstance(pair.partner, Arrival)
    return image_of(pair.arrival, pair.partner)


@pytest.fixture
def join() -> Join:
    return Join(grace_ms=GRACE)


@pytest.mark.parametrize("first", [LSH, SCORE])
def test_an_image_is_complete_when_both_sides_came(join: Join, first: Side) -> None:
    assert join.add(arrival(first, "a", 3)) is None
    assert (join.waiting, join.waiting_of(first), join.waiting_of(first.partner)) == (1, 1, 0)
    pair = join.add(arrival(first.partner, "a", 8))
    image = made(pair)
    assert pair is not None
    offsets = {first: 3.0, first.partner: 8.0}
    assert (image.image_id, image.version, pair.parked) == ("a", 1, None)
    assert (image.lsh[1], image.score[1]) == (offsets[LSH], offsets[SCORE])
    assert image.metadata == {"side": "lsh", "lsh": "1", "score": "1"}
    assert (join.waiting, join.waiting_of(first)) == (0, 0)


def test_versions_do_not_mix(join: Join) -> None:
    assert join.add(arrival(LSH, "a", 0, version=1)) is None
    assert join.add(arrival(SCORE, "a", 0, version=2)) is None
    assert made(join.add(arrival(LSH, "a", 1, version=2))).version == 2
    assert join.waiting == 1


def test_a_side_sent_twice_replaces_itself(join: Join) -> None:
    join.add(arrival(LSH, "a", 0))
    join.add(arrival(LSH, "a", 1))
    assert (join.waiting, join.committable(LSH, 0)) == (1, 1)
    assert made(join.add(arrival(SCORE, "a", 0))).lsh[1] == 1
    assert join.committable(LSH, 0) == 2


def test_committable_is_the_oldest_unfinished_record(join: Join) -> None:
    join.add(arrival(LSH, "a", 5))
    join.add(arrival(LSH, "b", 6))
    join.skip(LSH, 0, 7, at_ms=0)
    assert join.committable(LSH, 0) == 5
    join.add(arrival(SCORE, "a", 0))
    assert (join.committable(LSH, 0), join.committable(SCORE, 0)) == (6, 1)
    join.add(arrival(SCORE, "b", 1))
    assert join.committable(LSH, 0) == 8


def test_markers_after_the_last_record_are_passed(join: Join) -> None:
    """Of transactions: an offset before them would look like something unread for ever."""
    join.add(arrival(LSH, "a", 5))
    assert join.committable(LSH, 0, passed=7) == 5
    join.add(arrival(SCORE, "a", 0))
    assert join.committable(LSH, 0, passed=7) == 7
    assert join.committable(LSH, 1, passed=7) is None


def test_a_partition_of_which_nothing_was_read_has_nothing_to_commit(join: Join) -> None:
    """Or a worker that finds its partition at the end would set the committed offset back to 0."""
    join.advance(LSH, 0, 500)
    assert join.waiting_before(SCORE, 0, 10) == []
    assert join.expired() == []
    assert (join.committable(LSH, 0), join.committable(SCORE, 0)) == (None, None)


@pytest.mark.parametrize(("frontier", "late"), [(100 + GRACE, []), (101 + GRACE, ["a"]), (112 + GRACE, ["a", "b"])])
def test_a_side_expires_when_the_partner_was_read_past_its_grace(join: Join, frontier: int, late: list[str]) -> None:
    join.add(arrival(LSH, "a", 0, at_ms=100))
    join.add(arrival(LSH, "b", 1, at_ms=111))
    join.advance(LSH, 0, 10_000)
    assert join.expired() == []
    join.skip(SCORE, 1, 0, at_ms=10_000)
    assert join.expired() == []
    join.skip(SCORE, 0, 0, at_ms=frontier)
    assert [arrival.image_id for arrival in join.expired()] == late
    assert join.waiting == 2


def test_an_expired_side_is_completed_by_a_late_partner(join: Join) -> None:
    side = arrival(LSH, "a", 0)
    join.add(side)
    join.expire(side)
    kept = parked(LSH, "a", 77)
    assert join.park(kept) is None
    assert (join.waiting, join.parked, join.committable(LSH, 0)) == (0, 1, 1)
    late = arrival(SCORE, "a", 4)
    pair = join.add(late)
    assert pair is not None
    assert (pair.arrival, pair.partner, pair.parked) == (late, kept, kept)
    assert join.parked == 0


def test_an_expired_side_of_a_decided_image_is_not_parked(join: Join) -> None:
    side = arrival(LSH, "a", 0)
    join.add(side)
    join.expire(side)
    assert (join.waiting, join.parked) == (0, 0)
    assert join.add(arrival(SCORE, "a", 4)) is None


def test_a_parked_side_that_came_again_is_completed_with_it(join: Join) -> None:
    """Both copies are done for: the parked one must be handed back, or it stays incomplete for ever."""
    kept, again = parked(LSH, "a"), arrival(LSH, "a", 7)
    join.park(kept)
    join.add(again)
    pair = join.add(arrival(SCORE, "a", 0))
    assert pair is not None
    assert made(pair).lsh[1] == 7
    assert pair.parked is kept
    assert (join.parked, join.waiting) == (0, 0)


def test_a_parked_side_that_is_gone_lets_its_partner_wait(join: Join) -> None:
    join.park(parked(LSH, "a"))
    late = arrival(SCORE, "a", 4)
    assert join.add(late) is not None
    assert join.add(late) is None
    assert (join.waiting, join.committable(SCORE, 0)) == (1, 4)


def test_a_completed_side_is_forgotten(join: Join) -> None:
    join.park(parked(LSH, "a"))
    join.unpark(ImageId("a"), 2)
    assert join.parked == 1
    join.unpark(ImageId("a"), 1)
    assert join.parked == 0
    assert join.add(arrival(SCORE, "a", 0)) is None


def test_the_oldest_parked_sides_are_forgotten_when_there_are_too_many() -> None:
    join = Join(grace_ms=GRACE, parked_limit=2)
    first, second, third = (parked(LSH, name) for name in "abc")
    again = parked(LSH, "a", 9)
    assert [join.park(one) for one in (first, second, again, third)] == [None, None, None, second]
    assert join.parked == 2
    assert join.add(arrival(SCORE, "b", 0)) is None
    assert join.add(arrival(SCORE, "a", 1)) is not None


def test_a_flood_of_one_side_stops_that_side() -> None:
    join = Join(grace_ms=GRACE, limit=20)
    for offset in range(10):
        assert not join.crowded()
        assert not join.surplus()
        join.add(arrival(LSH, f"flood {offset}", offset, at_ms=offset, partition=offset % 2))
    assert join.crowded() == {LSH}
    assert not join.surplus()
    join.add(arrival(SCORE, "flood 3", 0))
    assert join.crowded() == frozenset()


def test_when_both_sides_are_crowded_the_oldest_give_room() -> None:
    """Neither could go on, and neither could expire: its partner would have to be read."""
    join = Join(grace_ms=GRACE, limit=40)
    for offset in range(20):
        join.add(arrival(LSH, f"left {offset}", offset, at_ms=100 + offset, partition=offset % 2))
        join.add(arrival(SCORE, f"right {offset}", offset, at_ms=90 + 2 * offset, partition=offset % 2))
    assert join.crowded() == {LSH, SCORE}
    surplus = join.surplus()
    assert [side.image_id for side in surplus] == ["right 0", "right 1"]
    for side in surplus:
        join.expire(side)
    assert join.crowded() == {LSH}


def test_a_lost_partition_is_forgotten_and_no_other(join: Join) -> None:
    join.add(arrival(LSH, "a", 0, partition=0))
    join.add(arrival(SCORE, "b", 0, partition=0))
    join.add(arrival(LSH, "c", 0, partition=1))
    join.park(parked(LSH, "d", partition=0))
    join.park(parked(LSH, "e", partition=1))
    join.forget(0)
    assert (join.waiting, join.waiting_of(LSH), join.waiting_of(SCORE), join.parked) == (1, 1, 0, 1)
    assert (join.committable(LSH, 0), join.committable(LSH, 1)) == (None, 0)
    assert join.add(arrival(SCORE, "a", 0, partition=0)) is None
    assert join.add(arrival(SCORE, "c", 0, partition=1)) is not None


def test_what_waits_from_before_an_offset(join: Join) -> None:
    for offset, name in enumerate("abc"):
        join.add(arrival(LSH, name, offset))
    assert [side.image_id for side in join.waiting_before(LSH, 0, 2)] == ["a", "b"]
    assert join.waiting_before(SCORE, 0, 2) == []


def test_images_that_are_gone_wait_no_longer(join: Join) -> None:
    """What is parked is returned, for its bytes are kept elsewhere; what waits is finished."""
    kept = parked(SCORE, "a", version=7)
    join.park(kept)
    join.add(arrival(LSH, "a", 0))
    join.add(arrival(LSH, "b", 1))
    assert join.drop(lambda image_id: image_id == "a") == [kept]
    assert (join.waiting, join.parked, join.committable(LSH, 0)) == (1, 0, 1)
    assert join.drop(lambda _: False) == []
    assert join.add(arrival(SCORE, "a", 1)) is None
