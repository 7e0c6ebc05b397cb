"""Merging, parting, promoting and quarantining clusters."""

from neardup.commands import Erase, Force, Merge, Promote, Quarantine, Unmerge
from neardup.entries import ClusterMerged, ClusterQuarantined, ClusterUnmerged, HeadChanged
from neardup.types import ImageId
from tests.unit.graph.pipeline import Pipeline, make_image
from tests.unit.graph.telling import FAR, A, B, C, X, Z, clusters, move, only, refused, unchanged, verdict


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
