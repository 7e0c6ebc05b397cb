from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.assignment import Assignment, PlacedMatch, Said, assign, matching
from neardup.entries import Barred
from neardup.types import ClusterId, ClusterInfo, ImageId, Match


def placed(image: str, cluster: str, *, score: float = 0.9, overlap: int = 5, since: int = 1) -> PlacedMatch:
    return PlacedMatch(
        match=Match(image_id=ImageId(image), overlap=overlap, score=score),
        cluster=ClusterInfo(cluster_id=ClusterId(cluster), head=ImageId(cluster), size=9, since=since, exemplars=9),
    )


def never(head: ImageId) -> float:
    raise AssertionError(f"nobody had to ask for the score of {head}")


def decide(*matches: PlacedMatch, head_score: Callable[[ImageId], float] = never, **changes: Any) -> Assignment:
    values: dict[str, Any] = {
        "own": ClusterId("x"),
        "current": None,
        "said": Said(),
        "any_candidate": bool(matches),
        "head_bound": 0.5,
        "enough_members": 3,
        "enough_exemplars": 4,
    }
    return assign(ImageId("x"), matches=matches, head_score=head_score, **(values | changes))


def where(cluster: str, head: str, *, size: int) -> ClusterInfo:
    return ClusterInfo(cluster_id=ClusterId(cluster), head=ImageId(head), size=size, since=1, exemplars=size)


def test_members_that_together_say_enough() -> None:
    lone, many = placed("l", "lone", score=0.95), [placed(name, "many", score=0.9) for name in "abc"]
    assert matching([lone, *many], 0.99) == many
    assert matching([lone, *many], 0.95) == [lone, *many]
    assert matching([lone, *many[:2]], 0.99) == []
    found = decide(*matching([lone, *many], 0.99), enough_members=3)
    assert (found.cluster_id, found.rule, found.bridges) == ("many", "best-match", ())


def test_no_candidate() -> None:
    assert decide() == Assignment(cluster_id=ClusterId("x"), head=ImageId("x"), rule="no-candidate")


def test_below_the_threshold() -> None:
    found = decide(any_candidate=True)
    assert (found.cluster_id, found.rule) == ("x", "below-threshold")


def test_best_match_with_the_head_among_the_matches() -> None:
    found = decide(placed("a", "a", score=0.8), placed("b", "a", score=0.9))
    assert found == Assignment(cluster_id=ClusterId("a"), head=ImageId("a"), rule="best-match")


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (placed("m", "m", score=0.91, overlap=1, since=9), placed("a", "a", score=0.90, overlap=9, since=1)),
        (placed("m", "m", overlap=6, since=9), placed("a", "a", overlap=5, since=1)),
        (placed("m", "m", since=1), placed("a", "a", since=2)),
        (placed("a", "a"), placed("m", "m")),
    ],
    ids=["score", "overlap", "older-cluster", "image-id"],
)
def test_ties(winner: PlacedMatch, loser: PlacedMatch) -> None:
    for matches in ((winner, loser), (loser, winner)):
        found = decide(*matches)
        assert (found.cluster_id, found.bridges) == (winner.cluster.cluster_id, (loser.cluster.cluster_id,))


def test_the_chain_guard_refuses_what_the_head_does_not_resemble() -> None:
    found = decide(placed("b", "a"), placed("c", "a"), head_score=lambda _: 0.49)
    assert (found.cluster_id, found.rule, found.head_score, found.bridges) == ("x", "chain-guard", 0.49, ("a",))


def test_the_chain_guard_agrees_at_the_bound() -> None:
    asked: list[ImageId] = []

    def head_score(head: ImageId) -> float:
        asked.append(head)
        return 0.5

    found = decide(placed("b", "a"), head_score=head_score)
    assert (found.cluster_id, found.rule, found.head_score) == ("a", "best-match", 0.5)
    assert asked == ["a"]


def test_enough_members_need_no_head() -> None:
    found = decide(placed("b", "a"), placed("c", "a"), placed("d", "a"))
    assert (found.cluster_id, found.head_score) == ("a", None)


def test_members_of_other_clusters_are_no_witnesses() -> None:
    matches = placed("b", "a", score=0.95), placed("z", "z"), placed("y", "z"), placed("c", "a")
    assert decide(*matches, head_score=lambda _: 0.0).rule == "chain-guard"


def test_only_the_best_cluster_is_tried() -> None:
    """Refused by the best one, an image stands alone: joining the second best would hide the bridge."""
    found = decide(placed("b", "a", score=0.95), placed("z", "z"), head_score=lambda _: 0.0)
    assert (found.cluster_id, found.bridges) == ("x", ("a", "z"))


def test_what_enough_members_stand_for_is_not_indexed() -> None:
    members = [placed(name, "a") for name in "abcd"]
    assert decide(*members[:3]).indexed
    assert not decide(*members).indexed


def test_what_lies_between_two_clusters_is_indexed() -> None:
    members = [placed(name, "a") for name in "abcd"]
    found = decide(*members, placed("z", "z", score=0.8))
    assert (found.cluster_id, found.bridges, found.indexed) == ("a", ("z",), True)


def test_heads_are_indexed() -> None:
    members = [placed(name, "a") for name in "bcde"]
    assert decide().indexed
    assert decide(any_candidate=True).indexed
    assert decide(placed("b", "a"), head_score=lambda _: 0.0).indexed
    assert decide(*members, current=where("x", "x", size=2)).indexed
    own = [placed(name, "a", score=0.9) for name in "bcde"]
    alone = [PlacedMatch(match=one.match, cluster=replace(one.cluster, head=ImageId("x"))) for one in own]
    assert decide(*alone).indexed


def test_a_head_with_members_stays() -> None:
    found = decide(placed("z", "z"), current=where("x", "x", size=2))
    assert found == Assignment(
        cluster_id=ClusterId("x"), head=ImageId("x"), rule="head-kept", bridges=(ClusterId("z"),)
    )


@pytest.mark.parametrize("current", [where("x", "x", size=1), where("a", "a", size=5)], ids=["alone", "member"])
def test_others_are_decided_again(current: ClusterInfo) -> None:
    assert decide(placed("z", "z"), current=current).cluster_id == "z"
    assert decide(current=current).cluster_id == "x"


def test_a_forced_image_stays_whatever_it_matches() -> None:
    found = decide(placed("z", "z"), current=where("a", "a", size=5), said=Said(forced=True))
    assert (found.cluster_id, found.head, found.rule, found.bridges) == ("a", "a", "forced", ("z",))
    assert decide(current=where("a", "x", size=5), said=Said(forced=True)).rule == "forced"


def test_a_must_link_comes_before_every_match() -> None:
    said = Said(belongs=where("m", "m", size=3))
    found = decide(placed("z", "z"), said=said)
    assert (found.cluster_id, found.head, found.rule, found.bridges) == ("m", "m", "must-link", ("z",))
    kept = decide(placed("z", "z"), current=where("x", "x", size=2), said=said)
    assert (kept.cluster_id, kept.rule) == ("x", "head-kept")


@pytest.mark.parametrize(
    ("rules", "rule"),
    [(("cannot-link",), "barred"), (("quarantined",), "quarantined"), (("quarantined", "cannot-link"), "barred")],
)
def test_barred_clusters_are_not_joined(rules: tuple[Any, ...], rule: str) -> None:
    barred = tuple(Barred(cluster_id=ClusterId(name), rule=why) for name, why in zip("ab", rules, strict=False))
    matches = [placed(bar.cluster_id, bar.cluster_id, score=0.95) for bar in barred]
    found = decide(*matches, said=Said(barred=barred))
    assert (found.cluster_id, found.rule, found.bridges) == ("x", rule, ())
    found = decide(*matches, placed("z", "z", score=0.8), said=Said(barred=barred))
    assert (found.cluster_id, found.rule, found.bridges) == ("z", "best-match", ())


def test_bridges_are_the_best_other_clusters_bounded() -> None:
    matches = [placed(f"m{n:02}", f"m{n:02}", score=0.9 - n / 100) for n in range(14)]
    found = decide(*matches, placed("m03-copy", "m03", score=0.99 - 0.5))
    assert found.cluster_id == "m00"
    assert found.bridges == tuple(f"m{n:02}" for n in range(1, 11))


MATCHES = st.lists(
    st.builds(
        placed,
        st.sampled_from("abcdefgh"),
        st.sampled_from("abc"),
        score=st.sampled_from([0.8, 0.9]),
        overlap=st.integers(1, 2),
    ),
    max_size=8,
    unique_by=lambda match: match.match.image_id,
).map(
    lambda matches: [
        m for m in matches if m.match.image_id not in {"a", "b", "c"} or m.match.image_id == m.cluster.head
    ]
)


@given(MATCHES, st.randoms(use_true_random=False), st.sampled_from([0.4, 0.6]))
def test_the_order_of_the_matches_does_not_matter(matches: list[PlacedMatch], rng: Any, head: float) -> None:
    shuffled = list(matches)
    rng.shuffle(shuffled)
    assert decide(*matches, head_score=lambda _: head) == decide(*shuffled, head_score=lambda _: head)


@given(MATCHES, st.sampled_from([0.4, 0.6]))
def test_an_image_joins_a_matched_cluster_or_stands_alone(matches: list[PlacedMatch], head: float) -> None:
    found = decide(*matches, head_score=lambda _: head)
    clusters = {match.cluster.cluster_id for match in matches}
    if found.rule == "best-match":
        assert found.cluster_id in clusters
        assert set(found.bridges) == clusters - {found.cluster_id}
    else:
        assert (found.cluster_id, found.head) == ("x", "x")
        assert set(found.bridges) == clusters
