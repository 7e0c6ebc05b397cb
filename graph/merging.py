"""Commands about whole clusters: merge, unmerge, promote, quarantine; and erase. Ports only."""

from collections.abc import Callable

from graph.answer import Answer
from graph.refusal import AlreadySoError, RefusedError
from graph.world import World
from neardup.commands import Erase, Merge, Promote, Quarantine, Unmerge
from neardup.entries import (
    ClusterMerged,
    ClusterQuarantined,
    ClusterUnmerged,
    HeadChanged,
    ImageErased,
    Link,
)
from neardup.types import ClusterId, ClusterInfo, ImageId, Placement, Segment

__all__ = ["erase", "merge", "merge_clusters", "promote", "quarantine", "unmerge"]


def merge(answer: Answer, world: World, body: Merge) -> None:
    """The source becomes a part of the target."""
    source, target = world.cluster(body.source), world.cluster(body.target)
    if source.cluster_id == target.cluster_id:
        raise AlreadySoError("they are one cluster already")
    merge_clusters(answer, world, source, target)


def merge_clusters(answer: Answer, world: World, source: ClusterInfo, target: ClusterInfo) -> None:
    """As `merge`, for two different clusters; one that is quarantined passes that on. Raises RefusedError when a
    cannot-link crosses."""
    crossing = _crossing(
        world, "cannot-link", lambda p: p.cluster_id == source.cluster_id, lambda p: p.cluster_id == target.cluster_id
    )
    if crossing is not None:
        one, other = crossing
        raise RefusedError(f"{one!r} cannot-link {other!r}: one of them is in the one cluster, one in the other")
    answer.add(
        ClusterMerged,
        cluster_id=source.cluster_id,
        into=target.cluster_id,
        head=target.head,
        segments=(*source.merged, source.cluster_id),
    )
    standing = world.standing
    if standing.is_quarantined(source.cluster_id) and not standing.is_quarantined(target.cluster_id):
        answer.add(ClusterQuarantined, cluster_id=target.cluster_id, on=True)


def unmerge(answer: Answer, world: World, body: Unmerge) -> None:
    """A part becomes a cluster again: its members, and the parts that it had. Who joined later stays."""
    root = world.cluster(body.cluster)
    segments = {segment.cluster_id: segment for segment in world.store.segments(root.cluster_id)}
    named = _segment_named(world, body.cluster, segments)
    if named == root.cluster_id:
        parts = ", ".join(map(repr, root.merged)) or "nothing was merged into it"
        raise RefusedError(f"{body.cluster!r} is in the own part of cluster {root.cluster_id!r}; its parts: {parts}")
    taken = {cluster_id: segment for cluster_id, segment in segments.items() if _inside(segments, cluster_id, named)}
    rest = [segment for cluster_id, segment in segments.items() if cluster_id not in taken]
    first, first_left = _first(list(taken.values())), _first(rest)
    if first is None:
        raise RefusedError(f"no member of the merged cluster {named!r} is left")
    if first_left is None:
        raise RefusedError(f"cluster {root.cluster_id!r} has no other members")
    crossing = _crossing(
        world,
        "must-link",
        lambda p: p.segment in taken and p.cluster_id == root.cluster_id,
        lambda p: p.segment not in taken and p.cluster_id == root.cluster_id,
    )
    if crossing is not None:
        one, other = crossing
        raise RefusedError(f"{one!r} must-link {other!r}: one of them would leave the other")
    heads = world.placements([segments[named].head, root.head])
    old, current = heads.get(segments[named].head), heads[root.head]
    head = old.image_id if old is not None and old.segment in taken else first
    if current.segment in taken:
        answer.add(HeadChanged, cluster_id=root.cluster_id, head=first_left, previous_head=root.head)
    answer.add(ClusterUnmerged, cluster_id=named, out_of=root.cluster_id, head=head, segments=tuple(taken))


def promote(answer: Answer, world: World, body: Promote) -> None:
    """The image becomes the head of its cluster."""
    placement = world.image(body.image_id)
    if placement.head == body.image_id:
        raise AlreadySoError(f"{body.image_id!r} is the head already")
    answer.add(HeadChanged, cluster_id=placement.cluster_id, head=body.image_id, previous_head=placement.head)


def quarantine(answer: Answer, world: World, body: Quarantine) -> None:
    """The cluster takes no new member by itself, or does again."""
    cluster = world.cluster(body.cluster)
    if world.standing.is_quarantined(cluster.cluster_id) == body.on:
        raise AlreadySoError(f"cluster {cluster.cluster_id!r} is {'' if body.on else 'not '}quarantined")
    answer.add(ClusterQuarantined, cluster_id=cluster.cluster_id, on=body.on)


def erase(answer: Answer, world: World, body: Erase) -> None:
    """The image is gone for good. One that is not decided yet is erased, too: it may be on its way."""
    image_id = body.image_id
    if world.standing.is_erased(image_id):
        raise AlreadySoError(f"{image_id!r} was erased before")
    placement = world.placements([image_id]).get(image_id)
    cluster_id: ClusterId | None = None
    head: ImageId | None = None
    if placement is not None:
        cluster_id, head = placement.cluster_id, placement.head
        if head == image_id:
            others = world.clusters([placement])[cluster_id].size > 1
            head = world.first_member(cluster_id, without={image_id}) if others else None
    answer.add(
        ImageErased,
        image_id=image_id,
        cluster_id=cluster_id,
        head=head,
        previous_seq=None if placement is None else placement.seq,
    )


def _crossing(
    world: World, link: Link, one_side: Callable[[Placement], bool], other_side: Callable[[Placement], bool]
) -> tuple[ImageId, ImageId] | None:
    """A verdict between an image of one side and one of the other. Reads where all images with such verdicts are."""
    verdicts = world.standing.verdicts
    placements = world.placements(sorted(verdicts.linked(link)))
    for image_id in sorted(placements):
        if one_side(placements[image_id]):
            for other in verdicts.partners(link, image_id):
                if other in placements and other_side(placements[other]):
                    return image_id, other
    return None


def _segment_named(world: World, name: ImageId, segments: dict[ClusterId, Segment]) -> ClusterId:
    """The part that is meant: that of this id, else the one that holds the image."""
    if ClusterId(name) in segments:
        return ClusterId(name)
    return world.image(name).segment


def _inside(segments: dict[ClusterId, Segment], cluster_id: ClusterId, outer: ClusterId) -> bool:
    step: ClusterId | None = cluster_id
    while step is not None:
        if step == outer:
            return True
        step = segments[step].parent
    return False


def _first(segments: list[Segment]) -> ImageId | None:
    return next((segment.first for segment in segments if segment.first is not None), None)
