import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.recent import RecentImages, RecentPlacements
from neardup.clusters import ClusterState
from neardup.testing import ledger_of, make_decision
from neardup.types import ClusterId, ClusterInfo, Code, ImageId
from neardup.words import NO_WORD, WORD

TABLES = 4


def code(value: int) -> Code:
    return np.full(TABLES, value, dtype=np.uint16)


def query(*values: int) -> Code:
    """Own buckets in column 0, one probe in column 1."""
    return np.array([[value, 99] for value in values], dtype=np.uint16)


def remember(recent: RecentImages, name: str, seq: int, value: int = 1) -> None:
    recent.add(ImageId(name), seq=seq, code=code(value), score=np.array([seq], dtype=np.float16))


def names(recent: RecentImages, seq: int, *, minimum_overlap: int = 1) -> dict[str, int]:
    """Those after `seq`, whether that many were read or all."""
    asked = query(1, 1, 1, 2)
    (found,) = recent.after(seq).near([asked], [seq], [minimum_overlap])
    _, of_all = recent.after(0).near([query(2, 2, 2, 1), asked], [0, seq], [9, minimum_overlap])
    assert found.image_ids == of_all.image_ids
    # Each is remembered with its seq in place of an embedding.
    seqs = [recent.seq_of(image_id) for image_id in found.image_ids]
    assert recent.scores(found.rows)[:, :1].ravel().tolist() == seqs
    return dict(zip(found.image_ids, found.overlap.tolist(), strict=True))


def test_empty() -> None:
    recent = RecentImages(capacity=3)
    assert (recent.since, names(recent, 0), recent.get(ImageId("a")), recent.seq_of(ImageId("a"))) == (0, {}, None, 0)


def test_overlap_is_exact_and_bounded_below() -> None:
    recent = RecentImages(capacity=9)
    remember(recent, "three", 1, value=1)
    remember(recent, "one", 2, value=2)
    remember(recent, "none", 3, value=3)
    remember(recent, "probes", 4, value=99)
    assert names(recent, 0) == {"three": 3, "one": 1, "probes": 4}
    assert names(recent, 0, minimum_overlap=2) == {"three": 3, "probes": 4}
    assert names(recent, 1) == {"one": 1, "probes": 4}
    assert names(recent, 4) == {}


def test_words_in_common_count() -> None:
    recent = RecentImages(capacity=3)
    codes = {
        "two": [1, 9, WORD + 5, WORD + 2**22 - 1],
        "word": [8, 9, WORD + 5, NO_WORD],
        "none": [8, 9, WORD + 6, NO_WORD],
    }
    for seq, (name, code) in enumerate(codes.items(), start=1):
        recent.add(ImageId(name), seq=seq, code=np.array(code, np.uint32), score=np.ones(1, np.float16))
    asked = np.array([[1, 3], [2, 4], [WORD + 5, NO_WORD], [NO_WORD, NO_WORD]], dtype=np.uint32)
    (near,) = recent.after(0).near([asked], [0], [1])
    assert dict(zip(near.image_ids, near.overlap.tolist(), strict=True)) == {"two": 2, "word": 1}
    two = recent.get(ImageId("two"))
    assert two is not None
    np.testing.assert_array_equal(two.code, codes["two"])


def test_the_oldest_is_forgotten() -> None:
    recent = RecentImages(capacity=3)
    for seq, name in enumerate("abcde", start=1):
        remember(recent, name, seq)
    assert recent.since == 2
    assert names(recent, recent.since) == {"c": 3, "d": 3, "e": 3}
    assert recent.get(ImageId("a")) is None
    assert recent.seq_of(ImageId("e")) == 5


def test_a_new_version_replaces_the_old() -> None:
    recent = RecentImages(capacity=3)
    remember(recent, "a", 1, value=1)
    remember(recent, "a", 2, value=2)
    assert names(recent, 0) == {"a": 1}
    found = recent.get(ImageId("a"))
    assert found is not None
    assert (found.score.tolist(), found.code.tolist()) == ([2.0], [2] * TABLES)


def test_what_was_asked_for_stays_as_it_was() -> None:
    recent = RecentImages(capacity=1)
    remember(recent, "a", 1, value=1)
    found = recent.get(ImageId("a"))
    remember(recent, "b", 2, value=2)
    assert found is not None
    assert (found.score.tolist(), found.code.tolist()) == ([1.0], [1] * TABLES)


def test_an_erased_image_is_forgotten() -> None:
    recent = RecentImages(capacity=3)
    remember(recent, "a", 1)
    recent.remove(ImageId("a"))
    recent.remove(ImageId("b"))
    assert (names(recent, 0), recent.get(ImageId("a")), recent.seq_of(ImageId("a"))) == ({}, None, 0)


def test_what_is_not_searchable_is_known_but_not_found() -> None:
    recent = RecentImages(capacity=3)
    remember(recent, "a", 1)
    recent.add(ImageId("a"), seq=2, code=code(1), score=np.array([2], dtype=np.float16), searchable=False)
    assert names(recent, 0) == {}
    assert recent.seq_of(ImageId("a")) == 2
    assert recent.get(ImageId("a")) is not None


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 8), st.integers(0, 40))
def test_it_holds_every_image_decided_after_since(moves: list[str], capacity: int, asked: int) -> None:
    recent = RecentImages(capacity=capacity)
    for seq, name in enumerate(moves, start=1):
        remember(recent, name, seq)
    assert recent.since == max(0, len(moves) - capacity)
    latest = {name: seq for seq, name in enumerate(moves, start=1)}
    after = max(asked, recent.since)
    assert names(recent, after).keys() == {name for name, seq in latest.items() if seq > after}
    restored = RecentImages(capacity=capacity, since=recent.since)
    for seq, name in list(enumerate(moves, start=1))[recent.since :]:
        remember(restored, name, seq)
    assert restored.since == recent.since
    assert names(restored, recent.since) == names(recent, recent.since)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=40), st.data())
def test_a_graph_behind_and_the_recent_decisions_make_the_whole(
    moves: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Whatever the graph has applied: what it says under what is remembered is the ledger folded."""
    decisions = ledger_of(moves)
    graph, whole, recent = ClusterState(), ClusterState(), RecentPlacements()
    for decision in decisions:
        clusters = {decision.cluster_id, decision.previous_cluster} - {None}
        before = [info for c in clusters if c is not None and (info := recent.cluster(c) or graph.cluster(c))]
        was = recent.placement(decision.image_id) or graph.placement(decision.image_id)
        recent.add(decision, was=was, before=before)
        whole.apply(decision)
        for applied in decisions[graph.seq : data.draw(st.integers(graph.seq, whole.seq))]:
            graph.apply(applied)
        if data.draw(st.booleans()):
            recent.forget(graph.seq)
        for name in "abcdef":
            assert (recent.placement(ImageId(name)) or graph.placement(ImageId(name))) == whole.placement(ImageId(name))
            cluster = recent.cluster(ClusterId(name)) or graph.cluster(ClusterId(name))
            assert (None if cluster is not None and cluster.size == 0 else cluster) == whole.cluster(ClusterId(name))
    recent.forget(whole.seq)
    assert len(recent) == 0


def test_a_left_cluster_must_be_known() -> None:
    with pytest.raises(KeyError):
        RecentPlacements().add(
            make_decision(2, "b", "b", previous_cluster=ClusterId("a")), was=None, before=list[ClusterInfo]()
        )
