from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.restore import restore
from neardup.commands import Request
from neardup.entries import Decision
from neardup.errors import FencedError
from neardup.testing import InMemoryIndex, InMemoryLedger, InMemoryProposalLog
from neardup.types import ImageId, Position
from tests.unit.graph.pipeline import STEPS, Pipeline, make_image

IMAGES = st.builds(make_image, st.sampled_from("abcdefgh"), st.integers(0, STEPS - 1), version=st.integers(1, 3))
PROPOSING = st.tuples(st.lists(IMAGES, min_size=1, max_size=5), st.integers(0, 6), st.integers(0, 3))
REPLAY = st.lists(st.tuples(st.integers(1, 7), st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=1)


def recorded(rounds: list[tuple[list[Any], int, int]], *, window: int) -> Pipeline:
    """A world in which each round's images were proposed with the index wherever it stood, then some were decided."""
    world = Pipeline(window=window)
    for images, decided, indexed in rounds:
        world.propose(*images)
        world.decide(decided)
        world.project_index(indexed)
    world.decide(1000)
    return world


def requeued(world: Pipeline) -> set[tuple[str, int, int]]:
    return {(one.proposal.image_id, one.proposal.version, one.proposal.source.offset) for one in world.ledger.requeued}


@pytest.mark.parametrize("window", [2, 5, 1000])
@settings(max_examples=40)
@given(st.lists(PROPOSING, min_size=1, max_size=8), REPLAY)
def test_the_same_proposals_give_the_same_ledger(
    window: int, rounds: list[tuple[list[Any], int, int]], replay: list[tuple[int, int, int, bool]]
) -> None:
    """Other batches, other lags, and an assigner that is restarted, in the middle of a batch or between two."""
    first = recorded(rounds, window=window)
    again = Pipeline(window=window, proposals=first.proposals)
    for size, graph, index, restart in replay:
        # What a recorded search covered was in the index: it is in this one too, before that is decided.
        again.project_index(1000 if window < 1000 else index)
        again.project_graph(graph)
        again.decide(size)
        if restart:
            again.restart()
    again.decide(1000)
    assert again.decisions == first.decisions
    assert requeued(again) == requeued(first)


def test_nothing_decided_yet() -> None:
    past = restore(InMemoryLedger(), InMemoryProposalLog(), InMemoryIndex(), window=5)
    assert (past.last, past.recent.since) == (Position(), 0)


def test_memory_reaches_back_by_the_window() -> None:
    world = Pipeline()
    world.arrive(*(make_image(name, 3 * number) for number, name in enumerate("abcde")))
    past = restore(world.ledger, world.proposals, world.index, window=3)
    last, recent = past.last, past.recent
    assert (last.seq, last.proposal_offset, recent.since) == (5, 4, 2)
    assert [recent.seq_of(ImageId(name)) for name in "abcde"] == [0, 0, 3, 4, 5]


class ShortenedLog(InMemoryProposalLog):
    """Proposals before `start` are beyond the retention."""

    start = 0

    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Request]]:
        return super().read(offset=max(offset, self.start), limit=limit)


class SmallReads(InMemoryProposalLog):
    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Request]]:
        return super().read(offset=offset, limit=min(limit, 2))


def test_memory_starts_later_where_proposals_are_gone() -> None:
    proposals = ShortenedLog()
    world = Pipeline(proposals=proposals)
    world.arrive(*(make_image(name, 3 * number) for number, name in enumerate("abcde")))
    proposals.start = 3
    past = restore(world.ledger, proposals, world.index, window=1000)
    last, recent = past.last, past.recent
    assert (last.seq, recent.since) == (5, 3)
    assert [recent.seq_of(ImageId(name)) for name in "abcde"] == [0, 0, 0, 4, 5]


def test_memory_is_read_in_as_many_steps_as_it_takes() -> None:
    world = Pipeline(proposals=SmallReads())
    for number, name in enumerate("abcdefg"):
        world.propose(make_image(name, 3 * number))
        world.decide(1)
    recent = restore(world.ledger, world.proposals, world.index, window=1000).recent
    assert recent.since == 0
    assert [recent.seq_of(ImageId(name)) for name in "abcdefg"] == [1, 2, 3, 4, 5, 6, 7]


def test_a_restarted_assigner_fences_the_old_one() -> None:
    world = Pipeline()
    world.propose(make_image("a", 0), make_image("b", 0))
    zombie, writer = world.assigner, world.writer
    world.restart()
    world.decide(1)
    outcome = zombie.decide(world.proposals.read(offset=0))
    with pytest.raises(FencedError):
        writer.append(outcome.entries)
    world.decide(1)
    assert heads(world.decisions) == ["a", "a"]


def heads(decisions: list[Decision]) -> list[str]:
    return [decision.head for decision in decisions]
