"""What each command comes to, on the real assigner over the ports in memory."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from neardup.commands import (
    CommandBody,
    Erase,
    Force,
    Merge,
    Move,
    Promote,
    Quarantine,
    Unforce,
    Unmerge,
    Verdict,
    Withdraw,
)
from neardup.entries import (
    ClusterMerged,
    ClusterQuarantined,
    ClusterUnmerged,
    Decision,
    Entry,
    HeadChanged,
    ImageErased,
    Link,
    NotMoved,
    Refused,
    Unchanged,
    Unforced,
    VerdictGiven,
    VerdictWithdrawn,
)
from neardup.errors import ClusterStoreUnavailableError
from neardup.testing import InMemoryClusterStore
from neardup.types import ClusterId, ClusterInfo, ImageId, MemberOrder, Page, Placement
from tests.unit.graph.pipeline import Pipeline, clusters_of, make_image

A, B, C, X, Z = map(ImageId, "abcxz")
FAR = 12


@pytest.fixture
def world() -> Pipeline:
    """Cluster a with a, b and c; cluster z with z and y, on the other side of the circle."""
    world = Pipeline()
    world.arrive(*(make_image(name, 0) for name in "abc"), *(make_image(name, FAR) for name in "zy"))
    world.project()
    return world


def clusters(world: Pipeline) -> dict[str, str]:
    """Head -> members in the order of reading."""
    found: dict[str, str] = {}
    for placement in world.store.placements_all():
        members = world.store.members(placement.cluster_id).members
        found[placement.head] = "".join(member.image_id for member in members)
    return found


def only(entries: list[Entry], kind: type[Any]) -> Any:
    assert [type(entry) for entry in entries] == [kind], entries
    return entries[0]


def refused(world: Pipeline, body: CommandBody) -> str:
    before = clusters(world)
    found = only(world.tell(body), Refused)
    assert clusters(world) == before
    return str(found.because)


def unchanged(world: Pipeline, body: CommandBody) -> str:
    return str(only(world.tell(body), Unchanged).because)


def seq_of(world: Pipeline, image_id: str) -> int:
    return world.store.placements([ImageId(image_id)])[ImageId(image_id)].seq


def verdict(link: Link, a: str, b: str) -> Verdict:
    return Verdict(link=link, a=ImageId(a), b=ImageId(b))


def move(world: Pipeline, *images: str, to: Any = "own", into: str | None = None) -> Move:
    return Move(
        images=tuple((ImageId(name), seq_of(world, name)) for name in images),
        to=to,
        into=None if into is None else ImageId(into),
    )


def test_every_entry_says_who_why_and_what_it_answers(world: Pipeline) -> None:
    (entry,) = world.tell(Promote(image_id=B))
    assert (entry.actor, entry.reason, entry.at_ms) == ("somebody", "a test", 1_800_000_000_001)
    assert (entry.seq, entry.proposal_offset) == (6, 5)
    assert entry.command_id is not None


def test_force_moves_an_image_and_keeps_it(world: Pipeline) -> None:
    decision = only(world.tell(Force(image_id=B, into=Z)), Decision)
    assert (decision.cluster_id, decision.rule, decision.previous_cluster, decision.previous_seq) == (
        "z",
        "forced",
        "a",
        2,
    )
    assert (decision.evidence, decision.indexed) == (None, True)
    assert clusters(world) == {"a": "ac", "z": "zyb"}
    (again,) = world.arrive(make_image("b", 0, version=2))
    assert (again.cluster_id, again.rule, again.version, again.bridges) == ("z", "forced", 2, ("a",))
    assert unchanged(world, Force(image_id=B, into=ImageId("y"))) == "'b' was forced into this cluster before"


def test_force_of_a_head_passes_its_place_on(world: Pipeline) -> None:
    changed, decision = world.tell(Force(image_id=A, into=Z))
    assert isinstance(changed, HeadChanged)
    assert (changed.cluster_id, changed.head, changed.previous_head) == ("a", "b", "a")
    assert isinstance(decision, Decision)
    assert clusters(world) == {"b": "bc", "z": "zya"}
    # The old head's id stands for where that image is; its cluster keeps its id.
    assert world.store.clusters([ClusterId("a")])[ClusterId("a")].head == "b"


def test_force_where_it_is_only_keeps_it(world: Pipeline) -> None:
    decision = only(world.tell(Force(image_id=B, into=B)), Decision)
    assert (decision.rule, decision.previous_cluster) == ("forced", None)
    (again,) = world.arrive(make_image("b", FAR, version=2))
    assert (again.cluster_id, again.rule) == ("a", "forced")


def test_unforce_lets_an_image_be_decided_again(world: Pipeline) -> None:
    world.tell(Force(image_id=B, into=Z))
    only(world.tell(Unforce(image_id=B)), Unforced)
    assert clusters(world)["z"] == "zyb"
    (again,) = world.arrive(make_image("b", 0, version=2))
    assert (again.cluster_id, again.rule) == ("a", "best-match")
    assert unchanged(world, Unforce(image_id=B)) == "'b' is not forced"


def test_what_is_not_there_is_said_so(world: Pipeline) -> None:
    for body in (
        Force(image_id=X, into=A),
        verdict("must-link", "a", "x"),
        Promote(image_id=X),
    ):
        assert refused(world, body) == "'x' is not an image of this namespace"
    for other in (
        Force(image_id=A, into=X),
        Merge(source=X, target=A),
        Unmerge(cluster=X),
        Quarantine(cluster=X, on=True),
    ):
        assert refused(world, other) == "'x' is neither an image nor a cluster of this namespace"


def test_a_refusal_says_what_was_asked(world: Pipeline) -> None:
    entry = only(world.tell(Force(image_id=X, into=A)), Refused)
    assert (entry.command, entry.images) == ("force 'x' into the cluster of 'a'", ("x", "a"))


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


def test_merge_and_unmerge(world: Pipeline) -> None:
    merged = only(world.tell(Merge(source=Z, target=B)), ClusterMerged)
    assert (merged.cluster_id, merged.into) == ("z", "a")
    assert unchanged(world, Merge(source=A, target=Z)) == "they are one cluster already"
    world.arrive(make_image("n", 0))
    world.project()
    assert clusters(world) == {"a": "zyabcn"}
    unmerged = only(world.tell(Unmerge(cluster=Z)), ClusterUnmerged)
    assert (unmerged.cluster_id, unmerged.out_of, unmerged.head, unmerged.segments) == ("z", "a", "z", ("z",))
    assert clusters(world) == {"a": "abcn", "z": "zy"}
    assert refused(world, Unmerge(cluster=A)) == (
        "'a' is in the own part of cluster 'a'; its parts: nothing was merged into it"
    )


def test_unmerge_by_a_member_and_with_heads_that_left(world: Pipeline) -> None:
    world.tell(Merge(source=Z, target=A))
    world.tell(Promote(image_id=ImageId("y")))
    world.tell(Erase(image_id=Z))
    changed, unmerged = world.tell(Unmerge(cluster=ImageId("y")))
    assert isinstance(changed, HeadChanged)
    assert (changed.cluster_id, changed.head) == ("a", "a")
    assert isinstance(unmerged, ClusterUnmerged)
    assert (unmerged.cluster_id, unmerged.head) == ("z", "y")
    assert clusters(world) == {"a": "abc", "y": "y"}


def test_unmerge_leaves_nobody_without_members(world: Pipeline) -> None:
    world.tell(Merge(source=Z, target=A))
    for name in "zy":
        world.tell(Erase(image_id=ImageId(name)))
    assert refused(world, Unmerge(cluster=Z)) == "no member of the merged cluster 'z' is left"
    other = Pipeline()
    other.arrive(make_image("a", 0), make_image("z", FAR))
    other.project()
    other.tell(Merge(source=Z, target=A))
    other.tell(Erase(image_id=A))
    assert refused(other, Unmerge(cluster=Z)) == "cluster 'a' has no other members"


def test_unmerge_does_not_part_what_belongs_together(world: Pipeline) -> None:
    world.tell(Merge(source=Z, target=A))
    world.tell(verdict("must-link", "y", "b"))
    assert refused(world, Unmerge(cluster=Z)) == "'y' must-link 'b': one of them would leave the other"


def test_promote(world: Pipeline) -> None:
    changed = only(world.tell(Promote(image_id=C)), HeadChanged)
    assert (changed.cluster_id, changed.head, changed.previous_head) == ("a", "c", "a")
    assert unchanged(world, Promote(image_id=C)) == "'c' is the head already"
    (kept,) = world.arrive(make_image("c", 6, version=2))
    assert (kept.rule, kept.cluster_id) == ("head-kept", "a")
    (left,) = world.arrive(make_image("a", FAR, version=2))
    assert (left.rule, left.cluster_id) == ("best-match", "z")
    world.project()
    # The id of its old cluster is taken, so a new one of its own gets another.
    world.tell(move(world, "a"))
    assert clusters(world) == {"c": "bc", "z": "zy", "a": "a"}
    assert world.store.placements([A])[A].cluster_id == "a#10"
    (stays,) = world.arrive(make_image("a", 18, version=3))
    assert (stays.cluster_id, stays.rule) == ("a#10", "no-candidate")


def test_split_names_the_first_as_head(world: Pipeline) -> None:
    entries = world.tell(move(world, "c", "b"))
    assert [(e.image_id, e.cluster_id, e.rule) for e in entries if isinstance(e, Decision)] == [
        ("c", "c", "moved"),
        ("b", "c", "moved"),
    ]
    assert clusters(world) == {"a": "a", "c": "cb", "z": "zy"}
    assert unchanged(world, move(world, "b", "c")) == "they are there already"


def test_split_with_the_head_names_another_first(world: Pipeline) -> None:
    entries = world.tell(move(world, "a", "b"))
    assert [type(entry) for entry in entries] == [HeadChanged, Decision, Decision]
    assert clusters(world) == {"c": "c", "a": "ab", "z": "zy"}


def test_moving_all_of_a_cluster_empties_it(world: Pipeline) -> None:
    world.tell(move(world, "z", "y", to="cluster", into="a"))
    assert clusters(world) == {"a": "abczy"}
    assert world.store.clusters([ClusterId("z")]) == {}


def test_moving_into_a_cluster_may_name_its_head(world: Pipeline) -> None:
    def to_a(*images: str, head: str) -> Move:
        body = move(world, *images, to="cluster", into="a")
        return replace(body, head=ImageId(head), rule="rolled-back")

    entries = world.tell(to_a("y", head="y"))
    assert [(type(entry), getattr(entry, "rule", None)) for entry in entries] == [
        (Decision, "rolled-back"),
        (HeadChanged, None),
    ]
    assert clusters(world) == {"y": "abcy", "z": "z"}
    # By itself, a change of the head would pass for a promotion.
    entries = world.tell(to_a("b", head="b"))
    assert [type(entry) for entry in entries] == [HeadChanged, Decision]
    assert clusters(world) == {"b": "abcy", "z": "z"}
    assert unchanged(world, to_a("b", head="b")) == "they are there already"
    assert unchanged(world, to_a("b", head="z")) == "they are there already"
    stale = Move(images=((C, 99),), to="cluster", into=A, head=C)
    assert [type(entry) for entry in world.tell(stale)] == [NotMoved]


def test_moving_each_to_a_cluster_of_its_own(world: Pipeline) -> None:
    world.tell(move(world, "a", "b", "z", to="each"))
    assert clusters(world) == {"c": "c", "b": "b", "a": "a", "y": "y", "z": "z"}
    assert unchanged(world, move(world, "a", "b", to="each")) == "they are there already"


def test_what_was_decided_again_is_not_moved(world: Pipeline) -> None:
    stale = Move(images=((B, seq_of(world, "b")), (C, 99), (X, 1)), to="own")
    decision, kept = world.tell(stale)
    assert isinstance(decision, Decision)
    assert decision.image_id == "b"
    assert isinstance(kept, NotMoved)
    assert kept.images == (
        ("c", "was decided again meanwhile: its seq is 3, not 99"),
        ("x", "is not an image of this namespace"),
    )


def test_a_move_obeys_verdicts_and_forces(world: Pipeline) -> None:
    world.tell(verdict("must-link", "a", "b"))
    world.tell(Force(image_id=C, into=C))
    kept = only(world.tell(move(world, "b", "c")), NotMoved)
    assert kept.images == (
        ("c", "was forced into its cluster"),
        ("b", "a must-link keeps it with 'a', which is not moved"),
    )
    world.tell(move(world, "a", "b"))
    assert clusters(world) == {"c": "c", "a": "ab", "z": "zy"}
    world.tell(verdict("cannot-link", "b", "y"))
    kept = only(world.tell(move(world, "y", to="cluster", into="a")), NotMoved)
    assert kept.images == (("y", "a cannot-link keeps 'y' apart from 'b', which is in it"),)
    kept = world.tell(move(world, "y", "a", "b"))[-1]
    assert isinstance(kept, NotMoved)
    assert [name for name, _ in kept.images] == ["a", "b"]


def test_a_moved_image_is_found_where_it_is(world: Pipeline) -> None:
    copies = Pipeline(enough_exemplars=2)
    copies.arrive(*(make_image(name, 0) for name in "abcd"))
    copies.project()
    assert not copies.store.placements([ImageId("d")])[ImageId("d")].indexed
    (moved,) = copies.tell(move(copies, "d"))
    assert isinstance(moved, Decision)
    assert moved.indexed
    image = copies.index.images([ImageId("d")])[ImageId("d")]
    assert (image.searchable, image.seq) == (True, moved.seq)


@pytest.mark.parametrize("indexed", [True, False])
def test_a_moved_image_meets_what_was_searched_before(indexed: bool) -> None:
    """The search of "e" saw the index before "d" was moved, and could not find it then."""
    world = Pipeline(enough_exemplars=2)
    world.arrive(*(make_image(name, 0) for name in "abcd"))
    world.project()
    world.command(move(world, "d"))
    world.propose(make_image("e", 0))
    world.decide(1)
    if indexed:
        world.project_index(1000)
    else:
        world.restart()
    world.decide(1)
    assert {match.image_id for match in world.decisions[-1].matches} == {"a", "b", "d"}


def test_quarantine_takes_no_new_member(world: Pipeline) -> None:
    only(world.tell(Quarantine(cluster=B, on=True)), ClusterQuarantined)
    assert unchanged(world, Quarantine(cluster=A, on=True)) == "cluster 'a' is quarantined"
    world.propose(make_image("x", 0))
    world.settle()
    alone = world.decisions[-1]
    assert (alone.rule, alone.cluster_id) == ("quarantined", "x")
    (member,) = world.arrive(make_image("b", 1, version=2))
    assert member.cluster_id in {"a", "x"}
    world.tell(Force(image_id=X, into=A))
    assert clusters(world)["a"].endswith("x")
    only(world.tell(Quarantine(cluster=A, on=False)), ClusterQuarantined)
    (joined,) = world.arrive(make_image("n", 0))
    assert joined.cluster_id == "a"


def test_a_quarantined_cluster_passes_that_on_when_it_is_merged(world: Pipeline) -> None:
    world.tell(Quarantine(cluster=Z, on=True))
    merged, quarantined = world.tell(Merge(source=Z, target=A))
    assert isinstance(merged, ClusterMerged)
    assert isinstance(quarantined, ClusterQuarantined)
    assert (quarantined.cluster_id, quarantined.on) == ("a", True)


def test_erase(world: Pipeline) -> None:
    entry = only(world.tell(Erase(image_id=B)), ImageErased)
    assert (entry.cluster_id, entry.head, entry.previous_seq) == ("a", "a", 2)
    assert clusters(world) == {"a": "ac", "z": "zy"}
    assert world.ledger.erased == ["b"]
    assert world.index.images([B]) == {}
    assert world.cache.placements([B]) == {}
    assert unchanged(world, Erase(image_id=B)) == "'b' was erased before"
    assert refused(world, Force(image_id=B, into=A)) == "'b' is not an image of this namespace"


def test_an_erased_image_never_comes_back(world: Pipeline) -> None:
    world.tell(Erase(image_id=B))
    entries = len(world.entries)
    world.restart()
    assert world.arrive(make_image("b", 0, version=9)) == []
    assert len(world.entries) == entries
    assert world.ledger.erased == ["b", "b"]


def test_what_was_proposed_before_an_erasure_does_not_name_it(world: Pipeline) -> None:
    world.command(Erase(image_id=B))
    world.propose(make_image("n", 0))
    world.settle()
    decision = world.decisions[-1]
    assert decision.image_id == "n"
    assert {match.image_id for match in decision.matches} == {"a", "c"}


def test_an_image_on_its_way_can_be_erased(world: Pipeline) -> None:
    entry = only(world.tell(Erase(image_id=X)), ImageErased)
    assert (entry.cluster_id, entry.head) == (None, None)
    assert world.arrive(make_image("x", 0)) == []


def test_consecutive_erasures_are_answered_together(world: Pipeline) -> None:
    """Producers delete many images at a time: to wait for the graph after each would take minutes."""
    for image_id in (B, X, Z, B, A):
        world.command(Erase(image_id=image_id))
    world.propose(make_image("n", 0))
    batch = world.proposals.read(offset=world.next_offset, limit=10)
    outcome = world.assigner.decide(batch)
    assert [type(entry) for entry in outcome.entries] == [ImageErased, ImageErased, ImageErased, Unchanged, ImageErased]
    assert [entry.proposal_offset for entry in outcome.entries] == [offset for offset, _ in batch[:5]]
    assert [entry.head for entry in outcome.entries if isinstance(entry, ImageErased)] == ["a", None, "y", "c"]
    assert (outcome.erased, outcome.next_offset) == ((B, X, Z, A), batch[5][0])
    world.restart()
    world.settle()
    assert clusters(world) == {"c": "cn", "y": "y"}


def test_many_erasures_ask_the_graph_once(world: Pipeline) -> None:
    class Counting(InMemoryClusterStore):
        asked = 0

        def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
            self.asked += 1
            return super().placements(image_ids)

        def clusters(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo]:
            self.asked += 1
            return super().clusters(cluster_ids)

        def members(
            self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
        ) -> Page:
            self.asked += 1
            return super().members(cluster_id, after=after, limit=limit, order=order)

    store = Counting()
    world = Pipeline(store=store)
    world.arrive(*(make_image(f"i{step}", step) for step in range(0, 24, 4)))
    world.project()
    for step in range(0, 24, 4):
        world.command(Erase(image_id=ImageId(f"i{step}")))
    before = store.asked
    world.decide(10)
    assert store.asked - before == 2
    world.project()
    assert clusters(world) == {}


def test_an_erasure_that_fails_does_not_take_those_before_it_along() -> None:
    class Failing(InMemoryClusterStore):
        asked, answers = 0, 10**6

        def members(
            self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
        ) -> Page:
            self.asked += 1
            if self.asked > self.answers:
                raise ClusterStoreUnavailableError("away")
            return super().members(cluster_id, after=after, limit=limit, order=order)

    store = Failing()
    world = Pipeline(store=store)
    world.arrive(make_image("a", 0), make_image("z", FAR))
    world.arrive(make_image("b", 0), make_image("y", FAR))
    world.project()
    for image_id in (A, Z):
        world.command(Erase(image_id=image_id))
    batch = world.proposals.read(offset=world.next_offset, limit=10)
    store.answers = store.asked
    with pytest.raises(ClusterStoreUnavailableError):
        world.assigner.decide(batch)
    store.answers = store.asked + 1
    outcome = world.assigner.decide(batch)
    assert ([type(entry) for entry in outcome.entries], outcome.next_offset) == ([ImageErased], batch[1][0])
    store.answers = 10**6
    world.writer.append(outcome.entries, standing=outcome.standing, erased=outcome.erased)
    world.next_offset = outcome.next_offset
    world.settle()
    assert clusters(world) == {"b": "b", "y": "y"}
    assert world.ledger.erased == ["a", "z"]


def test_erasing_a_head_names_the_next(world: Pipeline) -> None:
    entry = only(world.tell(Erase(image_id=A)), ImageErased)
    assert (entry.cluster_id, entry.head) == ("a", "b")
    assert clusters(world) == {"b": "bc", "z": "zy"}
    # The id of the old head stands for its cluster for ever.
    assert world.store.clusters([ClusterId("a")])[ClusterId("a")].head == "b"
    (joined,) = world.arrive(make_image("n", 0))
    assert (joined.cluster_id, joined.head) == ("a", "b")
    for name in "bcn":
        world.project()
        world.tell(Erase(image_id=ImageId(name)))
    assert world.store.clusters([ClusterId("a")]) == {}


def test_a_command_delivered_again_has_no_second_effect(world: Pipeline) -> None:
    command = world.command(Force(image_id=B, into=Z))
    world.command(Force(image_id=B, into=A))
    world.proposals.append([command])
    world.decide(100)
    world.project()
    assert [decision.cluster_id for decision in world.decisions[5:]] == ["z", "a"]
    world.restart()
    world.proposals.append([command])
    world.decide(100)
    assert len(world.entries) == 7
    assert world.waiting == 0


def test_commands_and_proposals_are_answered_in_one_order(world: Pipeline) -> None:
    """The graph is behind all the time; what commands did is known all the same."""
    world.propose(make_image("n", 0))
    world.command(Merge(source=A, target=Z))
    world.propose(make_image("m", 0))
    world.command(Promote(image_id=ImageId("m")))
    world.propose(make_image("o", 0))
    world.decide(100)
    last = world.decisions[-1]
    assert (last.image_id, last.cluster_id, last.head) == ("o", "z", "m")
    world.project()
    assert clusters(world) == {"m": "abcnzymo"}
    assert clusters_of(world.entries) == {frozenset("abcnzymo")}
