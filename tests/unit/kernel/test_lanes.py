import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.lanes import LANES, WINDOW_SECONDS, LaneLimits, SlidingWindow, lane_limits

SHARES = st.floats(0, 0.49)


@given(limit=st.integers(3, 100_000), interactive=SHARES, reprocess=SHARES, processes=st.integers(1, 100))
def test_lanes_share_the_limit_and_no_more(limit: int, interactive: float, reprocess: float, processes: int) -> None:
    limits = lane_limits(limit, interactive_share=interactive, reprocess_share=reprocess, processes=processes)
    assert sum(limits.limit(lane) for lane in LANES) == limit
    for lane in LANES:
        assert limits.limit(lane) >= 1
        assert limits.share(lane) * processes <= limits.limit(lane)
        assert 1 <= limits.largest_request(lane) <= limits.limit(lane)
        assert limits.largest_request(lane) <= max(1, limits.share(lane))


def test_shares_are_rounded_down_as_people_count() -> None:
    limits = lane_limits(100, interactive_share=0.29, reprocess_share=0.001, processes=4)
    assert (limits.ingest, limits.interactive, limits.reprocess) == (70, 29, 1)


@pytest.mark.parametrize(("limit", "interactive", "reprocess"), [(100, 0.5, 0.5), (4, 0.9, 0.0), (10, 0.9, 0.09)])
def test_something_is_left_for_ingest(limit: int, interactive: float, reprocess: float) -> None:
    with pytest.raises(ValueError, match="leave nothing for ingest"):
        lane_limits(limit, interactive_share=interactive, reprocess_share=reprocess, processes=1)


def test_a_request_is_a_small_part_of_the_lane() -> None:
    limits = LaneLimits(ingest=500, interactive=80, reprocess=3, processes=16)
    assert [limits.share(lane) for lane in LANES] == [31, 5, 0]
    assert [limits.largest_request(lane) for lane in LANES] == [31, 5, 1]


@given(
    limit=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 700), st.integers(1, 25)), min_size=1, max_size=60),
)
def test_the_window_is_exact(limit: int, steps: list[tuple[int, int]]) -> None:
    """Granted if and only if there is room, by a count over the whole history; the delay leads to the first such
    moment."""
    window, now, granted = SlidingWindow(limit), 0.0, list[tuple[float, int]]()

    def within(moment: float) -> int:
        return sum(count for at, count in granted if at > moment - WINDOW_SECONDS)

    for pause_ms, searches in steps:
        now += pause_ms / 1000
        wait = window.take(searches, now)
        assert (wait == 0) == (within(now) + searches <= limit)
        if wait == 0:
            granted.append((now, searches))
        elif searches > limit:
            assert wait == float("inf")
        else:
            assert within(now + wait + 1e-6) + searches <= limit < within(now + wait - 1e-6) + searches
        assert window.used(now) == sum(count for at, count in granted if at > now - 1.0)
