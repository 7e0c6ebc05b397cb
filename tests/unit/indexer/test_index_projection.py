from dataclasses import replace

import numpy as np
import pytest

from indexer.index_projection import IndexProjection
from neardup.commands import Request
from neardup.entries import Decision, Entry, ImageErased, Refused
from neardup.errors import ClusterConflictError, IncompatibleIndexError, LogUnavailableError
from neardup.testing import InMemoryIndex, InMemoryProposalLog, make_decision, position_of
from neardup.types import ImageId, Position
from tests.contracts.samples import make_proposal

LSH_VERSION = "000000000000"
IDS = [ImageId(name) for name in "abcd"]


class ProposalLog(InMemoryProposalLog):
    """Has forgotten what is before `start`, and gives at most two at a time."""

    start = 0

    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Request]]:
        return super().read(offset=max(offset, self.start), limit=min(limit, 2))


@pytest.fixture
def proposals() -> ProposalLog:
    log = ProposalLog()
    for number, name in enumerate("abcda"):
        query = np.full((4, 2), number, dtype=np.uint16)
        query[:, 1] = 99
        log.append([make_proposal(name, query=query, version=1 + number, metadata={"n": str(number)})])
    return log


@pytest.fixture
def index() -> InMemoryIndex:
    return InMemoryIndex()


def decision(seq: int, name: str, offset: int, *, indexed: bool = True) -> Decision:
    return make_decision(seq, name, name, proposal_offset=offset, version=1 + offset, indexed=indexed)


def apply(index: InMemoryIndex, proposals: ProposalLog, *decisions: Entry) -> None:
    IndexProjection(index, index, proposals, lsh_version=LSH_VERSION).apply(decisions, upto=position_of(decisions[-1]))


def test_what_was_decided_is_searchable_with_the_terms_of_its_proposal(
    index: InMemoryIndex, proposals: ProposalLog
) -> None:
    apply(index, proposals, decision(1, "a", 0), decision(2, "c", 2), decision(3, "d", 3))
    found = index.images(IDS)
    assert found.keys() == {"a", "c", "d"}
    image = found[ImageId("c")]
    assert (image.seq, image.version, image.code.tolist(), image.metadata) == (2, 3, [2, 2, 2, 2], {"n": "2"})
    np.testing.assert_array_equal(image.score, make_proposal("c").score)
    assert IndexProjection(index, index, proposals, lsh_version=LSH_VERSION).position() == position_of(
        decision(3, "d", 3)
    )


def test_of_one_image_the_last_decision_counts(index: InMemoryIndex, proposals: ProposalLog) -> None:
    apply(index, proposals, decision(1, "a", 0), decision(2, "b", 1), decision(3, "a", 4))
    image = index.images(IDS)[ImageId("a")]
    assert (image.seq, image.version, image.code[0]) == (3, 5, 4)


@pytest.mark.parametrize("together", [True, False])
def test_what_is_not_indexed_can_be_read_but_not_found(
    index: InMemoryIndex, proposals: ProposalLog, together: bool
) -> None:
    decisions = decision(1, "a", 0), decision(2, "b", 1), decision(3, "a", 4, indexed=False)
    for some in [decisions] if together else [decisions[:2], decisions[2:]]:
        apply(index, proposals, *some)
    known = index.images(IDS)
    assert {name: (image.searchable, image.code[0]) for name, image in known.items()} == {
        "a": (False, 4),
        "b": (True, 1),
    }
    assert index.position().seq == 3


def test_only_the_next_seq_is_accepted(index: InMemoryIndex, proposals: ProposalLog) -> None:
    apply(index, proposals, decision(1, "a", 0))
    for seq in (1, 3):
        with pytest.raises(ClusterConflictError, match=f"stands at seq 1, not before {seq}"):
            apply(index, proposals, decision(seq, "b", 1))
    assert index.images(IDS).keys() == {"a"}


def test_a_gap_is_a_mistake(index: InMemoryIndex, proposals: ProposalLog) -> None:
    with pytest.raises(ValueError, match="seq 3 follows 1"):
        apply(index, proposals, decision(1, "a", 0), decision(3, "b", 1))


def test_nothing_changes_nothing(index: InMemoryIndex, proposals: ProposalLog) -> None:
    IndexProjection(index, index, proposals, lsh_version=LSH_VERSION).apply([], upto=Position(seq=5))
    assert index.position() == Position()


def test_proposals_beyond_the_retention_are_said_so(index: InMemoryIndex, proposals: ProposalLog) -> None:
    proposals.start = 2
    with pytest.raises(LogUnavailableError, match="2 proposals from offset 0 on are no longer in the log"):
        apply(index, proposals, decision(1, "a", 0), decision(2, "b", 1), decision(3, "c", 2))
    assert (index.images(IDS), index.position()) == ({}, Position())
    # Not the same as proposals that are not there yet: those come.
    with pytest.raises(LogUnavailableError, match="offset 9"):
        apply(index, proposals, replace(decision(1, "a", 0), proposal_offset=9))


def test_terms_of_another_lsh_version_stop_it(index: InMemoryIndex, proposals: ProposalLog) -> None:
    projection = IndexProjection(index, index, proposals, lsh_version="another")
    with pytest.raises(IncompatibleIndexError, match="another"):
        projection.apply([decision(1, "a", 0)], upto=position_of(decision(1, "a", 0)))
    assert index.position() == Position()


def erased(seq: int, name: str) -> ImageErased:
    return ImageErased(
        seq=seq,
        actor="somebody",
        proposal_offset=9,
        at_ms=1,
        image_id=ImageId(name),
        cluster_id=None,
        head=None,
        previous_seq=None,
    )


def moved(seq: int, name: str) -> Decision:
    return make_decision(seq, name, "d", evidence=None, rule="moved", proposal_offset=9)


@pytest.mark.parametrize("together", [True, False])
def test_what_a_person_moved_is_searchable_again(index: InMemoryIndex, proposals: ProposalLog, together: bool) -> None:
    entries = decision(1, "a", 0), decision(2, "c", 2, indexed=False), moved(3, "c")
    for some in [entries] if together else [entries[:2], entries[2:]]:
        apply(index, proposals, *some)
    image = index.images(IDS)[ImageId("c")]
    assert (image.seq, image.version, image.searchable, image.code[0], image.metadata) == (3, 3, True, 2, {"n": "2"})


@pytest.mark.parametrize("together", [True, False])
def test_what_was_erased_is_gone(index: InMemoryIndex, proposals: ProposalLog, together: bool) -> None:
    entries = decision(1, "a", 0), decision(2, "b", 1), moved(3, "b"), erased(4, "b")
    for some in [entries] if together else [entries[:2], entries[2:]]:
        apply(index, proposals, *some)
    assert index.images(IDS).keys() == {"a"}
    assert index.position().seq == 4


def test_a_move_before_an_erasure_that_was_half_applied_is_passed_over(
    index: InMemoryIndex, proposals: ProposalLog
) -> None:
    apply(index, proposals, decision(1, "a", 0))
    index.apply([], [ImageId("a")], upto=Position(seq=1))
    apply(index, proposals, moved(2, "a"))
    assert index.images(IDS) == {}


def test_entries_that_move_nothing_only_move_the_position(index: InMemoryIndex, proposals: ProposalLog) -> None:
    apply(index, proposals, decision(1, "a", 0))
    refused = Refused(seq=2, actor="x", proposal_offset=1, at_ms=1, command="c", images=(), because="so")
    apply(index, proposals, refused)
    assert index.position().seq == 2
    assert index.images(IDS).keys() == {"a"}
