"""Re-clustering one cluster: which members belong together under a stricter threshold, and the commands that part
them. Pure.

The method: greedy heads. Members are taken in the order in which they joined, the head first. Each joins the first
group whose head it scores at or above the threshold against, best score first; else it is the head of a new group. So
every member of a group resembles its head, which chains of slight variations do not.
"""

from collections.abc import Callable, Mapping, Sequence

from neardup.commands import LARGEST_MOVE, Move
from neardup.entries import Decision, Entry, NotMoved, Refused
from neardup.types import ImageId

__all__ = ["greedy_groups", "split"]


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


def split(
    groups: Sequence[Sequence[ImageId]],
    seqs: Mapping[ImageId, int],
    ask: Callable[[Move], Sequence[Entry]],
    *,
    largest: int = LARGEST_MOVE,
) -> list[NotMoved | Refused]:
    """Make a cluster of every group but the first, by moves of at most `largest` images each. Returns what was not
    done.

    `ask` sends a move and gives the entries that answer it. `seqs`: of each image that of its decision when the groups
    were made. Whoever others decided about since is left alone; what these very moves decide, that an image stands for
    its cluster when its exemplars leave, does not count.
    """
    known, left = dict(seqs), list[NotMoved | Refused]()
    for group in groups[1:]:
        members = [image_id for image_id in group if image_id in known]
        for start in range(0, len(members), largest):
            images = tuple((image_id, known[image_id]) for image_id in members[start : start + largest])
            move = Move(images=images, to="own") if start == 0 else Move(images=images, to="cluster", into=members[0])
            answer = ask(move)
            known |= {
                entry.image_id: entry.seq
                for entry in answer
                if isinstance(entry, Decision) and entry.previous_seq == known.get(entry.image_id)
            }
            left += [entry for entry in answer if isinstance(entry, NotMoved | Refused)]
    return left
