"""What people said of two images: verdicts, what they bar and draw together, and taking them back."""

from neardup.commands import Force, Merge, Withdraw
from neardup.entries import ClusterMerged, Decision, VerdictGiven, VerdictWithdrawn
from neardup.types import ImageId
from tests.unit.graph.pipeline import Pipeline, make_image
from tests.unit.graph.telling import FAR, A, B, C, Z, clusters, only, refused, unchanged, verdict


def test_cannot_link_makes_the_later_one_leave(world: Pipeline) -> None:
    given, left = world.tell(verdict("cannot-link", "c", "b"))
    assert isinstance(given, VerdictGiven)
    assert isinstance(left, Decision)
    assert (left.image_id, left.cluster_id, left.rule) == ("c", "c", "verdict-left")
    assert clusters(world) == {"a": "ab", "c": "c", "z": "zy"}
    assert unchanged(world, verdict("cannot-link", "b", "c")) == "'b' cannot-link 'c' was said before"


def test_cannot_link_does_not_make_a_head_leave(world: Pipeline) -> None:
    world.arrive(make_image("a", 0, version=2))
    world.project()
    _, left = world.tell(verdict("cannot-link", "a", "b"))
    assert isinstance(left, Decision)
    assert left.image_id == "b"


def test_cannot_link_does_not_make_a_forced_image_leave(world: Pipeline) -> None:
    world.tell(Force(image_id=C, into=C))
    _, left = world.tell(verdict("cannot-link", "b", "c"))
    assert isinstance(left, Decision)
    assert left.image_id == "b"
    world.tell(Force(image_id=A, into=A))
    assert refused(world, verdict("cannot-link", "a", "c")) == (
        "both were forced into cluster 'a'; unforce one of them first"
    )


def test_cannot_link_bars_the_whole_cluster_of_the_partner(world: Pipeline) -> None:
    world.tell(verdict("cannot-link", "b", "c"))
    world.propose(make_image("c", 0, version=2))
    world.decide(1)
    # It matches a and b alone, both in the barred cluster: searched deeper once, then by itself.
    assert [request.candidate_limit for request in world.ledger.requeued] == [10_000]
    world.settle()
    again = world.decisions[-1]
    assert (again.image_id, again.rule, again.cluster_id) == ("c", "barred", "c")
    assert again.evidence is not None
    assert [(bar.cluster_id, bar.rule, bar.by) for bar in again.evidence.barred] == [("a", "cannot-link", "b")]
    # Its own new cluster is open to others, and to whoever is not barred both are.
    (other,) = world.arrive(make_image("d", 0))
    assert other.rule == "best-match"


def test_a_deeper_search_finds_what_is_not_barred() -> None:
    """The first three candidates are all in the barred cluster, the fourth is not."""
    world = Pipeline()
    world.proposer = world.make_proposer(candidate_limit=3)
    world.arrive(*(make_image(name, 0) for name in "abc"), make_image("w", 3), make_image("x", 1))
    world.project()
    world.tell(verdict("cannot-link", "x", "a"))
    (proposal,) = world.propose(make_image("x", 1, version=2))
    assert {match.image_id for match in proposal.matches} == {"a", "b", "c"}
    world.settle()
    assert [request.candidate_limit for request in world.ledger.requeued] == [10_000]
    decision = world.decisions[-1]
    assert (decision.image_id, decision.rule, decision.cluster_id) == ("x", "best-match", "w")
    assert decision.evidence is not None
    assert [bar.cluster_id for bar in decision.evidence.barred] == ["a"]


def test_a_contradicting_chain_is_refused_and_named(world: Pipeline) -> None:
    world.tell(verdict("must-link", "a", "b"))
    world.tell(verdict("must-link", "b", "c"))
    assert refused(world, verdict("cannot-link", "a", "c")) == (
        "'a' must-link 'b', 'b' must-link 'c', so 'a' cannot-link 'c' contradicts"
    )
    assert refused(world, verdict("must-link", "a", "a")) == "a verdict is about two images"


def test_must_link_moves_the_image_of_the_younger_cluster(world: Pipeline) -> None:
    given, moved = world.tell(verdict("must-link", "y", "b"))
    assert isinstance(given, VerdictGiven)
    assert isinstance(moved, Decision)
    assert (moved.image_id, moved.cluster_id, moved.rule) == ("y", "a", "must-link")
    assert clusters(world) == {"a": "abcy", "z": "z"}
    (again,) = world.arrive(make_image("y", FAR, version=2))
    assert (again.cluster_id, again.rule, again.bridges) == ("a", "must-link", ("z",))


def test_must_link_of_a_head_with_members_merges_its_cluster(world: Pipeline) -> None:
    given, merged = world.tell(verdict("must-link", "b", "z"))
    assert isinstance(given, VerdictGiven)
    assert isinstance(merged, ClusterMerged)
    assert (merged.cluster_id, merged.into, merged.head, merged.segments) == ("z", "a", "a", ("z",))
    assert clusters(world) == {"a": "zyabc"}


def test_must_link_of_a_head_is_refused_when_a_cannot_link_crosses(world: Pipeline) -> None:
    world.tell(verdict("cannot-link", "c", "y"))
    assert refused(world, verdict("must-link", "b", "z")) == (
        "'y' cannot-link 'c': one of them is in the one cluster, one in the other"
    )
    assert refused(world, Merge(source=A, target=Z)) == (
        "'c' cannot-link 'y': one of them is in the one cluster, one in the other"
    )


def test_must_link_goes_to_where_one_was_forced(world: Pipeline) -> None:
    world.tell(Force(image_id=ImageId("y"), into=Z))
    world.tell(verdict("must-link", "b", "y"))
    assert clusters(world) == {"a": "ac", "z": "zyb"}
    world.tell(Force(image_id=C, into=C))
    assert refused(world, verdict("must-link", "c", "b")) == "'c' and 'y' were forced into different clusters"


def test_a_withdrawn_verdict_no_longer_holds(world: Pipeline) -> None:
    world.tell(verdict("cannot-link", "b", "c"))
    withdrawn = only(world.tell(Withdraw(a=C, b=B)), VerdictWithdrawn)
    assert withdrawn.link == "cannot-link"
    assert clusters(world)["c"] == "c"
    (again,) = world.arrive(make_image("c", 0, version=2))
    assert again.cluster_id == "a"
    assert unchanged(world, Withdraw(a=B, b=C)) == "there is no verdict about 'b' and 'c'"
