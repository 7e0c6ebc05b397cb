import pytest

from neardup.backoff import BackOff


@pytest.mark.parametrize("attempts", [1, 40, 5000])
def test_delays_grow_to_the_longest_and_no_further(attempts: int) -> None:
    back_off = BackOff(first=0.1, longest=3.0)
    for attempt in range(attempts):
        ceiling = min(3.0, 0.1 * 2 ** min(attempt, 50))
        assert ceiling / 2 <= back_off.next() <= ceiling


def test_an_answer_starts_again() -> None:
    back_off = BackOff(first=0.1, longest=3.0)
    for _ in range(9):
        back_off.next()
    back_off.reset()
    assert back_off.next() <= 0.1


def test_two_that_wait_do_not_come_back_together() -> None:
    assert len({BackOff().next() for _ in range(20)}) > 10
