"""Each way in which something can disagree with the ledger is found, under the right name."""

from dataclasses import replace

import numpy as np
import pytest

from neardup.agreement import (
    Disagreement,
    FeedEntry,
    compare_clusters,
    compare_feed,
    compare_index,
    compare_ledgers,
    compare_placements,
    compare_published,
    fold,
)
from neardup.clusters import ClusterState
from neardup.testing import ledger_of, make_decision
from neardup.types import ClusterId, Decision, ImageId, IndexedImage, Page, Placement, Proposal, Source

A, B, C = ImageId("a"), ImageId("b"), ImageId("c")
DECISIONS = ledger_of([("a", "a"), ("b", "a"), ("c", "c"), ("b", "c")])
PUBLISHED = {A: 1, B: 2, C: 1}


@pytest.fixture
def state() -> ClusterState:
    state, found = fold(DECISIONS)
    assert found == []
    return state


def kinds(found: list[Disagreement]) -> list[tuple[str, str, str]]:
    return [(one.place, one.kind, one.subject) for one in found]


def test_a_sound_ledger_has_no_fault(state: ClusterState) -> None:
    assert state.seq == 4
    assert list(compare_published(state, PUBLISHED)) == []
    assert list(compare_ledgers(DECISIONS, DECISIONS)) == []


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([DECISIONS[0], DECISIONS[2]], [("ledger", "lost", "3")]),
        ([DECISIONS[0], DECISIONS[0]], [("ledger", "doubled", "a"), ("ledger", "doubled", "1")]),
        ([*DECISIONS, make_decision(5, "b", "b", version=1)], [("ledger", "doubled", "b"), ("ledger", "differs", "b")]),
    ],
)
def test_a_fault_of_the_ledger_is_found(decisions: list[Decision], expected: list[tuple[str, str, str]]) -> None:
    assert kinds(fold(decisions)[1]) == expected


def test_what_was_published_is_decided_and_nothing_else(state: ClusterState) -> None:
    found = list(compare_published(state, {A: 2, B: 1, ImageId("d"): 1}))
    assert kinds(found) == [
        ("ledger", "lost", "a"),
        ("ledger", "unexpected", "b"),
        ("ledger", "lost", "d"),
        ("ledger", "unexpected", "c"),
    ]


def test_placements(state: ClusterState) -> None:
    a, b, c = state.placements()
    assert list(compare_placements("graph", state, [c, a, b])) == []
    moved = replace(b, cluster_id=ClusterId("a"), head=A)
    stranger = replace(a, image_id=ImageId("d"))
    found = [a, a, b, moved, replace(c, version=7), stranger]
    assert kinds(list(compare_placements("graph", state, found))) == [
        ("graph", "doubled", "a"),
        ("graph", "two-clusters", "b"),
        ("graph", "differs", "c"),
        ("graph", "unexpected", "d"),
    ]
    assert kinds(list(compare_placements("cache", state, [moved]))) == [
        ("cache", "two-clusters", "b"),
        ("cache", "lost", "a"),
        ("cache", "lost", "c"),
    ]
    assert kinds(list(compare_placements("cache", state, [moved], complete=False))) == [("cache", "two-clusters", "b")]


def test_clusters(state: ClusterState) -> None:
    infos = {info.cluster_id: info for info in state.clusters()}
    pages = {cluster_id: state.members(cluster_id) for cluster_id in infos}
    assert list(compare_clusters(state, infos, pages)) == []
    a, c = ClusterId("a"), ClusterId("c")
    assert kinds(list(compare_clusters(state, {a: infos[a]}, pages))) == [("graph", "lost", "c")]
    wrong = {**infos, c: replace(infos[c], size=1)}
    assert kinds(list(compare_clusters(state, wrong, pages))) == [("graph", "differs", "c")]
    both = {**pages, a: Page(members=(*pages[a].members, pages[c].members[1]), after=None)}
    assert kinds(list(compare_clusters(state, infos, both))) == [
        ("graph", "two-clusters", "b"),
        ("graph", "differs", "a"),
    ]


def proposal_of(decision: Decision) -> Proposal:
    return Proposal(
        image_id=decision.image_id,
        version=decision.version,
        run=0,
        query=np.full((4, 2), decision.seq, dtype=np.uint16),
        score=np.full(3, decision.seq, dtype=np.float32),
        metadata={},
        searched_seq=0,
        matches=(),
        match_threshold=0.5,
        head_bound=0.4,
        lsh_version=decision.lsh_version,
        model_version=1,
        source=Source(topic="t", partition=0, offset=0),
        at_ms=0,
    )


def indexed(placement: Placement) -> IndexedImage:
    return IndexedImage(
        image_id=placement.image_id,
        version=placement.version,
        seq=placement.seq,
        code=np.full(4, placement.seq, dtype=np.uint16),
        score=np.full(3, placement.seq, dtype=np.float32),
        searchable=placement.indexed,
    )


def test_the_index(state: ClusterState) -> None:
    images = {placement.image_id: indexed(placement) for placement in state.placements()}
    proposals = {decision.proposal_offset: proposal_of(decision) for decision in DECISIONS}

    def found(images: dict[ImageId, IndexedImage], documents: int = 3) -> list[tuple[str, str, str]]:
        compared = compare_index(state, images, documents=documents, proposals=proposals, decisions=DECISIONS)
        return kinds(list(compared))

    assert found(images) == []
    assert found(images, documents=4) == [("index", "unexpected", "documents")]
    assert found(images, documents=2) == [("index", "lost", "documents")]
    assert found({A: images[A], B: images[B]}) == [("index", "lost", "c")]
    assert found(images | {A: replace(images[A], searchable=False)}) == [("index", "differs", "a")]
    assert found(images | {A: replace(images[A], code=images[C].code)}) == [("index", "differs", "a")]
    assert found(images | {A: replace(images[A], score=images[C].score)}) == [("index", "differs", "a")]


def test_the_feed(state: ClusterState) -> None:
    latest: dict[ImageId, FeedEntry] = {p.image_id: (p.cluster_id, p.head, p.seq) for p in state.placements()}
    assert list(compare_feed(state, latest)) == []
    wrong: dict[ImageId, FeedEntry] = {
        A: (ClusterId("c"), C, 1),
        B: (ClusterId("c"), C, 2),
        ImageId("d"): (ClusterId("d"), ImageId("d"), 9),
    }
    assert kinds(list(compare_feed(state, wrong))) == [
        ("feed", "two-clusters", "a"),
        ("feed", "differs", "b"),
        ("feed", "lost", "c"),
        ("feed", "unexpected", "d"),
    ]


def test_a_ledger_that_another_run_came_to() -> None:
    other = [*DECISIONS[:2], replace(DECISIONS[2], rule="chain-guard"), DECISIONS[3]]
    assert kinds(list(compare_ledgers(DECISIONS, other))) == [("replay", "differs", "3")]
    assert kinds(list(compare_ledgers(DECISIONS, DECISIONS[:3]))) == [("replay", "lost", "4")]
    assert kinds(list(compare_ledgers(DECISIONS[:3], DECISIONS))) == [("replay", "unexpected", "4")]


def test_a_disagreement_reads_as_a_sentence() -> None:
    (one,) = compare_ledgers(DECISIONS, DECISIONS[:3])
    assert str(one) == "replay: 4: lost: 3 decisions, the ledger has 4"
