from hypothesis import given
from hypothesis import strategies as st

from neardup.splitting import greedy_groups
from neardup.types import ImageId

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
