"""Each way in which something can disagree with the ledger is found, under the right name."""

from dataclasses import replace

import pytest

from neardup.agreement import (
    ClusterEntry,
    Disagreement,
    FeedEntry,
    IndexEntry,
    Touched,
    compare_clusters,
    compare_feed,
    compare_index,
    compare_ledgers,
    compare_members,
    compare_placements,
    compare_published,
    compare_segments,
    fold,
    read_through_feed,
)
from neardup.clusters import ClusterState
from neardup.entries import Decision
from neardup.testing import entries_of, ledger_of, make_decision
from neardup.types import ClusterId, ImageId, Member, Placement

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
    assert kinds(list(compare_placements("cache", state, [moved], wanted=[A, B, C]))) == [
        ("cache", "two-clusters", "b"),
        ("cache", "lost", "a"),
        ("cache", "lost", "c"),
    ]
    assert kinds(list(compare_placements("cache", state, [moved]))) == [("cache", "two-clusters", "b")]


def test_clusters(state: ClusterState) -> None:
    a, c, gone = ClusterId("a"), ClusterId("c"), ClusterId("gone")
    infos = {info.cluster_id: info for info in state.clusters()}
    assert list(compare_clusters(state, infos, [a, c, gone])) == []
    wrong = {c: replace(infos[c], size=1), gone: infos[a]}
    found = list(compare_clusters(state, wrong, [a, c, gone]))
    assert kinds(found) == [("graph", "lost", "a"), ("graph", "differs", "c"), ("graph", "unexpected", "gone")]
    assert found[1].detail == "size is 1, the ledger says 2"
    assert {one.about for one in found} == {"cluster"}


def test_members(state: ClusterState) -> None:
    a, c = ClusterId("a"), ClusterId("c")
    pages = {cluster_id: state.members(cluster_id).members for cluster_id in (a, c)}
    assert list(compare_members(state, pages)) == []
    first, second = pages[c]
    stranger = Member(image_id=ImageId("d"), seq=9)
    cases = [
        ([first], ("graph", "lost", "b")),
        ([first, second, second], ("graph", "doubled", "b")),
        ([first, replace(second, seq=7)], ("graph", "differs", "b")),
        ([second, first], ("graph", "differs", "c")),
        ([first, second, stranger], ("graph", "unexpected", "d")),
        ([*pages[a], first, second], ("graph", "two-clusters", "a")),
    ]
    for page, expected in cases:
        assert kinds(list(compare_members(state, {c: page}))) == [expected]


MERGED = entries_of([("place", "a", "a"), ("place", "b", "b"), ("merge", "b", "a"), ("promote", "b", "b")])


def test_parts() -> None:
    state, _ = fold(MERGED)
    a = ClusterId("a")
    parts = state.segments(a)
    assert list(compare_segments(state, {a: parts}, [a])) == []
    assert kinds(list(compare_segments(state, {a: parts[:1]}, [a]))) == [("graph", "differs", "a")]
    wrong = [replace(parts[0], size=5), parts[1]]
    (one,) = compare_segments(state, {a: wrong}, [a])
    assert one.detail == "its part 'b': size is 5, the ledger says 1"


def indexed(placement: Placement) -> IndexEntry:
    return IndexEntry(
        version=placement.version,
        seq=placement.seq,
        searchable=placement.indexed,
        content=placement.image_id.encode(),
        found_by_terms=placement.indexed,
    )


def test_the_index(state: ClusterState) -> None:
    images = {placement.image_id: indexed(placement) for placement in state.placements()}
    contents = {image_id: image_id.encode() for image_id in images}
    asked = [A, B, C, ImageId("d")]

    def found(images: dict[ImageId, IndexEntry]) -> list[tuple[str, str, str]]:
        return kinds(list(compare_index(state, images, asked, contents)))

    assert found(images) == []
    assert found(images | {ImageId("d"): images[A]}) == [("index", "unexpected", "d")]
    assert found({A: images[A], B: images[B]}) == [("index", "lost", "c")]
    assert found(images | {A: replace(images[A], searchable=False)}) == [("index", "differs", "a")]
    assert found(images | {A: replace(images[A], content=b"c")}) == [("index", "differs", "a")]
    assert found(images | {A: replace(images[A], found_by_terms=False)}) == [("index", "differs", "a")]
    assert found(images | {A: replace(images[A], found_by_terms=None)}) == []


def of_feed(placement: Placement) -> FeedEntry:
    return FeedEntry(
        segment=placement.segment, cluster_id=placement.cluster_id, head=placement.head, revision=placement.seq
    )


def test_the_feed(state: ClusterState) -> None:
    d = ImageId("d")
    latest = {placement.image_id: of_feed(placement) for placement in state.placements()}
    asked = [A, B, C, d]
    assert list(compare_feed(state, latest, {}, asked)) == []
    wrong = {A: latest[C], B: replace(latest[B], head=A), d: latest[A]}
    assert kinds(list(compare_feed(state, wrong, {}, asked))) == [
        ("feed", "two-clusters", "a"),
        ("feed", "differs", "b"),
        ("feed", "lost", "c"),
        ("feed", "unexpected", "d"),
    ]


def test_the_feed_is_read_through_its_clusters() -> None:
    state, _ = fold(MERGED)
    a, b = ClusterId("a"), ClusterId("b")
    images = {
        A: FeedEntry(segment=a, cluster_id=a, head=A, revision=1),
        B: FeedEntry(segment=b, cluster_id=b, head=B, revision=2),
    }
    merged = ClusterEntry(root=a, head=A, revision=3)
    promoted = ClusterEntry(root=a, head=B, revision=4)
    assert read_through_feed(images[B], {b: merged, a: promoted}).head == B
    assert list(compare_feed(state, images, {b: merged, a: promoted}, [A, B])) == []
    assert kinds(list(compare_feed(state, images, {a: promoted}, [A, B]))) == [("feed", "two-clusters", "b")]


def test_what_changed_meanwhile_is_told_from_what_is_wrong(state: ClusterState) -> None:
    """By the entries behind the position as of which was read."""
    (one,) = compare_placements("graph", state, [], wanted=[B])
    (cluster,) = compare_clusters(state, {}, [ClusterId("c")])
    joined = Touched([make_decision(5, "e", "c")])
    assert not joined.has(one, state)
    assert joined.has(cluster, state)
    assert Touched([make_decision(5, "b", "b")]).has(one, state)
    ended = list(entries_of([("place", "c", "c"), ("place", "a", "a"), ("merge", "c", "a")]))[2:]
    assert Touched(ended).has(one, state)


def test_a_ledger_that_another_run_came_to() -> None:
    other = [*DECISIONS[:2], replace(DECISIONS[2], rule="chain-guard"), DECISIONS[3]]
    assert kinds(list(compare_ledgers(DECISIONS, other))) == [("replay", "differs", "3")]
    assert kinds(list(compare_ledgers(DECISIONS, DECISIONS[:3]))) == [("replay", "lost", "4")]
    assert kinds(list(compare_ledgers(DECISIONS[:3], DECISIONS))) == [("replay", "unexpected", "4")]


def test_a_disagreement_reads_as_a_sentence() -> None:
    (one,) = compare_ledgers(DECISIONS, DECISIONS[:3])
    assert str(one) == "replay: 4: lost: 3 entries, the ledger has 4"
