"""What keeps a cluster findable when all of its exemplars have gone: others take their place. Ports only."""

from collections import Counter
from typing import Final

from graph.answer import Answer
from graph.world import World
from neardup.entries import Decision, HeadChanged, ImageErased
from neardup.types import ClusterId, ImageId, Placement

__all__ = ["keep_findable", "successors"]

_EXEMPLARS: Final = 32
"""How many: what usually stands for a cluster, and what one transaction can easily take."""


def keep_findable(answer: Answer, world: World) -> None:
    """To be called when the answer has all its other entries. Where nobody is left whom searches find, the first
    members are indexed; else copies of the images there would be taken for new ones."""
    leaving = _leaving(answer)
    if not leaving:
        return
    places = world.placements(leaving).values()
    left = Counter(placement.cluster_id for placement in places)
    gone = [placement for placement in places if placement.indexed]
    clusters = world.clusters(gone)
    lost = Counter(placement.cluster_id for placement in gone)
    entered = {entry.cluster_id for entry in answer.entries if isinstance(entry, Decision) and entry.indexed}
    for cluster_id, cluster in clusters.items():
        if cluster.size == left[cluster_id] or cluster.exemplars > lost[cluster_id] or cluster_id in entered:
            continue
        for placement in successors(world, cluster_id, without=leaving).values():
            answer.index(placement, head=_head_of(answer, cluster_id, cluster.head))


def successors(world: World, cluster_id: ClusterId, *, without: set[ImageId]) -> dict[ImageId, Placement]:
    """Who stands for a cluster from now on, with their places: its first members, those of `without` passed over."""
    return world.placements(world.first_members(cluster_id, _EXEMPLARS, without=without))


def _leaving(answer: Answer) -> set[ImageId]:
    return {
        entry.image_id
        for entry in answer.entries
        if isinstance(entry, ImageErased) or (isinstance(entry, Decision) and entry.previous_cluster is not None)
    }


def _head_of(answer: Answer, cluster_id: ClusterId, head: ImageId) -> ImageId:
    """The head after these entries."""
    for entry in answer.entries:
        if isinstance(entry, HeadChanged | ImageErased) and entry.cluster_id == cluster_id and entry.head is not None:
            head = entry.head
    return head
