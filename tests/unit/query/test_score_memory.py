from collections.abc import Sequence

import numpy as np
import pytest

from neardup.types import Half, ImageId
from query.score_memory import ScoreMemory, Seen

LARGE = 1 << 20
SIZE = 8 + 300
"""Bytes that one of these takes."""


def seen(value: float) -> Seen:
    return ImageId(f"image {value}"), np.full(4, value, dtype=np.float16)


def recalled(memory: ScoreMemory, seqs: Sequence[int]) -> dict[int, list[float]]:
    """What is known of these seqs. An image must have its own embedding."""
    image_ids, scores = memory.recall(seqs)
    assert len(image_ids) == len(scores) == len(seqs)
    found = {
        seq: (image_id, score.tolist())
        for seq, image_id, score in zip(seqs, image_ids, scores, strict=True)
        if image_id is not None
    }
    assert all(image_id == f"image {score[0]:g}" for image_id, score in found.values())
    return {seq: score for seq, (_, score) in found.items()}


def test_what_was_added_is_recalled_as_often_as_it_is_asked_for() -> None:
    memory = ScoreMemory(LARGE)
    memory.add({1: seen(10), 2: seen(20)})
    image_ids, scores = memory.recall([2, 3, 1, 2])
    assert image_ids == ["image 20", None, "image 10", "image 20"]
    assert scores.dtype == np.float16
    assert scores[[0, 2, 3]].tolist() == [[20] * 4, [10] * 4, [20] * 4]


def test_nothing_is_known_at_first() -> None:
    memory = ScoreMemory(LARGE)
    image_ids, scores = memory.recall([5, 6])
    assert image_ids == [None, None]
    assert scores.shape == (2, 0)
    assert memory.recall([])[0] == []


def test_what_is_kept_and_what_is_told_are_copies() -> None:
    memory = ScoreMemory(LARGE)
    both: Half = np.zeros((2, 4), dtype=np.float16)
    memory.add({1: (ImageId("image 0"), both[0])})
    both[:] = 7
    told = memory.recall([1])[1]
    told[:] = 9
    assert recalled(memory, [1]) == {1: [0, 0, 0, 0]}


def test_what_was_not_needed_for_longest_is_forgotten_first() -> None:
    memory = ScoreMemory(3 * SIZE)
    memory.add({1: seen(1), 2: seen(2), 3: seen(3)})
    memory.recall([2, 1])
    memory.recall([3])
    memory.recall([1])
    memory.add({4: seen(4)})
    assert recalled(memory, range(5)).keys() == {1, 3, 4}
    memory.add({5: seen(5)})
    assert len(recalled(memory, range(6))) == 3


@pytest.mark.parametrize("room", [1, 2, 7, 50])
def test_never_more_than_there_is_room_for(room: int) -> None:
    memory = ScoreMemory(room * SIZE)
    for start in range(0, 300, 11):
        memory.add({seq: seen(seq) for seq in range(start, start + 11)})
        known = recalled(memory, range(start + 11))
        assert len(known) <= room
        assert start + 10 in known
    assert len(known) >= room * 15 // 16


def test_without_room_nothing_is_kept() -> None:
    memory = ScoreMemory(0)
    memory.add({1: seen(1)})
    assert memory.recall([1])[0] == [None]


def test_adding_again_takes_no_room() -> None:
    memory = ScoreMemory(2 * SIZE)
    memory.add({1: seen(1)})
    for _ in range(10):
        memory.add({2: seen(2)})
    assert recalled(memory, [1, 2]).keys() == {1, 2}


def test_what_was_cleared_is_forgotten() -> None:
    memory = ScoreMemory(2 * SIZE)
    memory.add({1: seen(1), 2: seen(2)})
    memory.clear()
    assert recalled(memory, [1, 2]) == {}
    memory.add({3: seen(3), 4: seen(4)})
    assert recalled(memory, [3, 4]).keys() == {3, 4}


def test_embeddings_of_another_dimension_take_the_place_of_all() -> None:
    memory = ScoreMemory(LARGE)
    memory.add({1: seen(1)})
    memory.add({2: (ImageId("image 2"), np.full(3, 2, dtype=np.float16))})
    assert recalled(memory, [1, 2]) == {2: [2, 2, 2]}
