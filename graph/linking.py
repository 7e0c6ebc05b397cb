"""Commands about pairs: verdicts and their withdrawal. Ports only."""

from graph.answer import Answer
from graph.merging import merge_clusters
from graph.refusal import AlreadySoError, RefusedError
from graph.world import World
from neardup.commands import Verdict, Withdraw
from neardup.entries import VerdictGiven, VerdictWithdrawn
from neardup.types import ClusterId, ClusterInfo, ImageId, Placement

__all__ = ["verdict", "withdraw"]


def verdict(answer: Answer, world: World, body: Verdict) -> None:
    """The verdict holds from now on; images that it concerns are moved at once."""
    if body.a == body.b:
        raise RefusedError("a verdict is about two images")
    a, b = world.image(body.a), world.image(body.b)
    verdicts = world.standing.verdicts
    if verdicts.link(body.a, body.b) == body.link:
        raise AlreadySoError(f"{body.a!r} {body.link} {body.b!r} was said before")
    contradiction = verdicts.contradiction(body.link, body.a, body.b)
    if contradiction is not None:
        raise RefusedError(contradiction)
    answer.add(VerdictGiven, link=body.link, a=body.a, b=body.b)
    if body.link == "must-link":
        _bring_together(answer, world, a, b)
    elif a.cluster_id == b.cluster_id:
        _take_apart(answer, world, a, b)


def withdraw(answer: Answer, world: World, body: Withdraw) -> None:
    """The verdict no longer holds; nobody is moved."""
    link = world.standing.verdicts.link(body.a, body.b)
    if link is None:
        raise AlreadySoError(f"there is no verdict about {body.a!r} and {body.b!r}")
    answer.add(VerdictWithdrawn, link=link, a=body.a, b=body.b)


def _take_apart(answer: Answer, world: World, a: Placement, b: Placement) -> None:
    """Of the two, the one that was decided later leaves, with what must be with it; but not a head, and not one that
    was forced, as long as the other can leave."""
    cluster = world.clusters([a])[a.cluster_id]
    sides = [_with_it(world, placement) for placement in sorted((a, b), key=lambda p: p.seq, reverse=True)]
    free = [side for side in sides if not any(world.standing.is_forced(one.image_id) for one in side)]
    if not free:
        raise RefusedError(f"both were forced into cluster {cluster.cluster_id!r}; unforce one of them first")
    leaving = min(free, key=lambda side: any(one.image_id == cluster.head for one in side))
    answer.free_heads(world, leaving)
    head = leaving[0].image_id
    (cluster_id,) = world.new_cluster_ids([head], answer.next_seq)
    for placement in leaving:
        answer.move(placement, to=cluster_id, head=head, rule="verdict-left")


def _with_it(world: World, placement: Placement) -> list[Placement]:
    """An image and those of its cluster that must be with it."""
    placements = world.placements(world.standing.verdicts.group(placement.image_id))
    return [one for one in placements.values() if one.cluster_id == placement.cluster_id]


def _bring_together(answer: Answer, world: World, a: Placement, b: Placement) -> None:
    """All that must be together go to the oldest of their clusters, or to the one that one of them was forced into. A
    head that has other members takes its cluster along."""
    verdicts = world.standing.verdicts
    group = world.placements([*verdicts.group(a.image_id), *verdicts.group(b.image_id)])
    clusters = world.clusters(group.values())
    target = _target(world, group, clusters)
    for cluster in sorted(clusters.values(), key=lambda cluster: (cluster.since, cluster.cluster_id)):
        if cluster.cluster_id == target.cluster_id:
            continue
        movers = [placement for placement in group.values() if placement.cluster_id == cluster.cluster_id]
        if cluster.size > len(movers) and any(placement.image_id == cluster.head for placement in movers):
            merge_clusters(answer, world, cluster, target)
            continue
        for placement in movers:
            kept_out = world.kept_out(placement.image_id, target)
            if kept_out is not None:
                raise RefusedError(f"{kept_out}: the cluster that {placement.image_id!r} would join")
        answer.free_heads(world, movers)
        for placement in movers:
            answer.move(placement, to=target.cluster_id, head=target.head, rule="must-link")


def _target(world: World, group: dict[ImageId, Placement], clusters: dict[ClusterId, ClusterInfo]) -> ClusterInfo:
    forced = [placement for image_id, placement in group.items() if world.standing.is_forced(image_id)]
    homes = {placement.cluster_id: placement for placement in forced}
    if len(homes) > 1:
        one, other, *_ = homes.values()
        raise RefusedError(f"{one.image_id!r} and {other.image_id!r} were forced into different clusters")
    if homes:
        return clusters[next(iter(homes))]
    return min(clusters.values(), key=lambda cluster: (cluster.since, cluster.cluster_id))
