from hypothesis import given
from hypothesis import strategies as st

from neardup.commands import Promote
from neardup.entries import Decision
from neardup.splitting import greedy_groups, split
from neardup.types import ImageId
from tests.unit.graph.pipeline import Pipeline, clusters_of, make_image

A, B, C, D = (ImageId(name) for name in "abcd")


def test_a_chain_falls_apart_where_members_do_not_resemble_the_head() -> None:
    scores = {(A, B): 0.9, (B, C): 0.9, (C, D): 0.9, (A, C): 0.2}
    assert greedy_groups([A, B, C, D], scores, 0.5) == [[A, B], [C, D]]
    assert greedy_groups([A, B, C, D], scores, 0.95) == [[A], [B], [C], [D]]


def test_the_best_head_takes_it() -> None:
    scores = {(C, A): 0.6, (C, B): 0.8}
    assert greedy_groups([A, B, C], scores, 0.5) == [[A], [B, C]]


@given(
    st.dictionaries(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), st.floats(0, 1)),
    st.floats(0.01, 1),
)
def test_it_is_a_partition_whose_members_resemble_their_head(
    drawn: dict[tuple[str, str], float], threshold: float
) -> None:
    members = [ImageId(name) for name in "abcdef"]
    scores = {(ImageId(a), ImageId(b)): score for (a, b), score in drawn.items()}
    groups = greedy_groups(members, scores, threshold)
    assert sorted(member for group in groups for member in group) == members
    for head, *others in groups:
        for other in others:
            assert scores.get((other, head), scores.get((head, other), 0.0)) >= threshold


def world_of(names: str, *, enough_exemplars: int = 32) -> tuple[Pipeline, dict[ImageId, int]]:
    """A cluster of these images, and the seqs of their decisions."""
    world = Pipeline(enough_members=1, enough_exemplars=enough_exemplars)
    for name in names:
        world.arrive(make_image(name, 0))
        world.project()
    placements = world.store.placements([ImageId(name) for name in names])
    return world, {name: placement.seq for name, placement in placements.items()}


def partition(world: Pipeline) -> set[str]:
    return {"".join(sorted(cluster)) for cluster in clusters_of(world.entries)}


def test_every_group_but_the_first_gets_a_cluster() -> None:
    world, seqs = world_of("abcdefg")
    groups = [[A], [B, C, D], [ImageId("e")], [ImageId("f"), ImageId("g")]]
    assert split(groups, seqs, world.tell, largest=2) == []
    assert partition(world) == {"a", "bcd", "e", "fg"}


def test_who_comes_to_stand_for_the_cluster_meanwhile_is_moved_like_the_others() -> None:
    """Only 'a' is indexed; when it leaves, those that stay are, by decisions that are newer than the plan."""
    world, seqs = world_of("abcd", enough_exemplars=1)
    world.tell(Promote(image_id=B))
    groups = [[B], [A], [C, D]]
    assert split(groups, seqs, world.tell) == []
    assert any(isinstance(entry, Decision) and entry.rule == "exemplar" for entry in world.entries)
    assert partition(world) == {"b", "a", "cd"}


def test_who_was_decided_again_by_others_before_it_came_to_stand_for_the_cluster_stays() -> None:
    world, seqs = world_of("abcd", enough_exemplars=1)
    world.tell(Promote(image_id=B))
    world.arrive(make_image("c", 0, version=2))
    world.project()
    (left,) = split([[B], [A], [C], [D]], seqs, world.tell)
    assert "'c'" in str(left)
    assert partition(world) == {"bc", "a", "d"}


def test_who_was_decided_again_by_others_stays() -> None:
    world, seqs = world_of("abc")
    world.arrive(make_image("b", 0, version=2))
    world.project()
    (left,) = split([[A], [B, C]], seqs, world.tell)
    assert "'b'" in str(left)
    assert partition(world) == {"ab", "c"}
