"""Re-clustering one cluster: which members belong together under a stricter threshold. Pure.

The method: greedy heads. Members are taken in the order in which they joined, the head first. Each joins the first
group whose head it scores at or above the threshold against, best score first; else it is the head of a new group. So
every member of a group resembles its head, which chains of slight variations do not.
"""

from collections.abc import Mapping, Sequence

from neardup.types import ImageId

__all__ = ["greedy_groups"]


def greedy_groups(
    members: Sequence[ImageId], scores: Mapping[tuple[ImageId, ImageId], float], threshold: float
) -> list[list[ImageId]]:
    """The groups, each with its head first, in the order in which their heads came. `scores`: of pairs of members, in
    either order; a pair without a score does not resemble each other."""
    groups: dict[ImageId, list[ImageId]] = {}
    for member in members:
        reached = [
            (score, head)
            for head in groups
            if (score := scores.get((member, head), scores.get((head, member), 0.0))) >= threshold
        ]
        if reached:
            best = max(score for score, _ in reached)
            head = next(head for score, head in reached if score == best)
            groups[head].append(member)
        else:
            groups[member] = [member]
    return list(groups.values())
