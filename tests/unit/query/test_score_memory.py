import numpy as np

from neardup.types import Half, ImageId
from query.score_memory import ScoreMemory, Seen

LARGE = 1 << 30
SIZE = 8 + 400


def seen(value: float) -> Seen:
    return ImageId(f"image {value}"), np.full(4, value, dtype=np.float16)


def values(found: dict[int, Seen]) -> dict[int, tuple[str, float]]:
    return {seq: (image_id, score[0]) for seq, (image_id, score) in found.items()}


def test_what_was_added_is_recalled() -> None:
    memory = ScoreMemory(LARGE)
    memory.add({1: seen(10), 2: seen(20)})
    assert values(memory.recall([1, 3, 2])) == {1: ("image 10", 10), 2: ("image 20", 20)}


def test_what_is_kept_is_not_what_it_was_part_of() -> None:
    memory = ScoreMemory(LARGE)
    both: Half = np.zeros((2, 4), dtype=np.float16)
    memory.add({1: (ImageId("a"), both[0])})
    both[:] = 7
    assert memory.recall([1])[1][1].tolist() == [0, 0, 0, 0]


def test_what_was_not_needed_for_longest_is_forgotten_first() -> None:
    memory = ScoreMemory(3 * SIZE)
    memory.add({1: seen(1), 2: seen(2), 3: seen(3)})
    memory.recall([1])
    memory.add({4: seen(4)})
    assert set(memory.recall(range(5))) == {1, 3, 4}


def test_without_room_nothing_is_kept() -> None:
    memory = ScoreMemory(0)
    memory.add({1: seen(1)})
    assert memory.recall([1]) == {}


def test_adding_again_takes_no_room() -> None:
    memory = ScoreMemory(2 * SIZE)
    memory.add({1: seen(1)})
    for _ in range(10):
        memory.add({2: seen(2)})
    assert set(memory.recall([1, 2])) == {1, 2}


def test_what_was_cleared_is_forgotten() -> None:
    memory = ScoreMemory(2 * SIZE)
    memory.add({1: seen(1), 2: seen(2)})
    memory.clear()
    assert memory.recall([1, 2]) == {}
    memory.add({3: seen(3), 4: seen(4)})
    assert set(memory.recall([3, 4])) == {3, 4}
