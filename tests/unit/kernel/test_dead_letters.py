import pytest

from neardup.dead_letters import DeadLetterLimit


def test_too_many_in_a_row() -> None:
    limit = DeadLetterLimit(row=3, share=1.0)
    assert [limit.count(dead=True) for _ in range(3)] == [None] * 3
    assert limit.count(dead=False) is None
    assert [limit.count(dead=True) for _ in range(3)] == [None] * 3
    assert limit.count(dead=True) == "4 messages in a row are not valid"


def test_too_large_a_share() -> None:
    limit = DeadLetterLimit(row=1000, share=0.5)
    for _ in range(49):
        assert limit.count(dead=False) is None
    for _ in range(50):
        assert limit.count(dead=True) is None, "99 messages say nothing yet"
    assert limit.count(dead=True) == "51 of the last 100 messages are not valid"


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_what_is_long_ago_does_not_count(share: float) -> None:
    limit = DeadLetterLimit(row=1000, share=share)
    for _ in range(1000):
        limit.count(dead=False)
    allowed = int(1000 * share)
    assert [limit.count(dead=True) for _ in range(allowed)] == [None] * allowed
    for _ in range(1000):
        assert limit.count(dead=False) is None
    assert [limit.count(dead=True) for _ in range(allowed)] == [None] * allowed
    assert limit.count(dead=True) == f"{allowed + 1} of the last 1000 messages are not valid"


def test_a_good_message_never_stops_a_worker() -> None:
    limit = DeadLetterLimit(row=1000, share=0.01)
    for _ in range(98):
        limit.count(dead=True)
    assert [limit.count(dead=False) for _ in range(50)] == [None] * 50
