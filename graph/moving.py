"""Commands that move images: force, unforce, move. Ports only."""

from collections.abc import Iterable

from graph.answer import Answer
from graph.refusal import AlreadySoError, RefusedError
from graph.world import World
from neardup.commands import Force, Move, Unforce
from neardup.entries import HeadChanged, NotMoved, Rule, Unforced
from neardup.types import ClusterInfo, ImageId, Placement

__all__ = ["force", "move", "unforce"]


def force(answer: Answer, world: World, body: Force) -> None:
    """The image enters the cluster and stays there; a head with members passes its place on."""
    placement, target = world.image(body.image_id), world.cluster(body.into)
    there = placement.cluster_id == target.cluster_id
    if there and world.standing.is_forced(body.image_id):
        raise AlreadySoError(f"{body.image_id!r} was forced into this cluster before")
    kept_out = world.kept_out(body.image_id, target)
    if kept_out is not None:
        raise RefusedError(f"{kept_out}; withdraw it first")
    others = [image_id for image_id in world.standing.verdicts.group(body.image_id) if image_id != body.image_id]
    for other, elsewhere in world.placements(others).items():
        if elsewhere.cluster_id != target.cluster_id:
            raise RefusedError(f"a must-link keeps {body.image_id!r} with {other!r}, which is not in it")
    if not there:
        answer.free_heads(world, [placement])
    answer.move(placement, to=target.cluster_id, head=target.head, rule="forced")


def unforce(answer: Answer, world: World, body: Unforce) -> None:
    """The image stays and is decided like any other from now on."""
    if not world.standing.is_forced(body.image_id):
        raise AlreadySoError(f"{body.image_id!r} is not forced")
    answer.add(Unforced, image_id=body.image_id)


def move(answer: Answer, world: World, body: Move) -> None:
    """Move what can be moved, and say what cannot."""
    target = None if body.into is None else world.cluster(body.into)
    kept: dict[ImageId, str] = {}
    movers = _fit(world, body, kept)
    already = _already(world, body, movers, target)
    movers = [placement for placement in movers if placement.image_id not in already]
    movers = _obeying_verdicts(world, movers, target, kept, together=body.to != "each")
    head = None if body.head in kept else _head_to_be(world, body, movers, target)
    if not movers and not kept and head is None:
        raise AlreadySoError("they are there already")
    _move_all(answer, world, movers, target, rule=body.rule, together=body.to == "own")
    if head is not None:
        _make_head(answer, body, head, alone=not movers)
    if kept:
        answer.add(NotMoved, images=tuple(kept.items()))


def _move_all(
    answer: Answer, world: World, movers: list[Placement], target: ClusterInfo | None, *, rule: Rule, together: bool
) -> None:
    if not movers:
        return
    answer.free_heads(world, movers)
    ids = [placement.image_id for placement in movers]
    if target is not None:
        places = [(target.cluster_id, target.head)] * len(movers)
    elif together:
        places = [(world.new_cluster_ids(ids[:1], answer.next_seq)[0], ids[0])] * len(movers)
    else:
        places = list(zip(world.new_cluster_ids(ids, answer.next_seq), ids, strict=True))
    for placement, (cluster_id, head) in zip(movers, places, strict=True):
        answer.move(placement, to=cluster_id, head=head, rule=rule)


def _head_to_be(
    world: World, body: Move, movers: list[Placement], target: ClusterInfo | None
) -> tuple[ClusterInfo, Placement] | None:
    """The cluster and its new head, when the move names another one than it has and that will be in it."""
    if target is None or body.head is None or target.head == body.head:
        return None
    placement = world.placements([body.head]).get(body.head)
    if placement is None or (placement not in movers and placement.cluster_id != target.cluster_id):
        return None
    return target, placement


def _make_head(answer: Answer, body: Move, head: tuple[ClusterInfo, Placement], *, alone: bool) -> None:
    target, placement = head
    answer.add(HeadChanged, cluster_id=target.cluster_id, head=placement.image_id, previous_head=target.head)
    if alone:
        # By itself, a change of the head would pass for a promotion.
        answer.move(placement, to=target.cluster_id, head=placement.image_id, rule=body.rule)


def _fit(world: World, body: Move, kept: dict[ImageId, str]) -> list[Placement]:
    """Where those are that can be moved at all; the reasons of the others go to `kept`."""
    placements = world.placements(image_id for image_id, _ in body.images)
    fit: list[Placement] = []
    for image_id, seq in body.images:
        placement = placements.get(image_id)
        if placement is None:
            kept[image_id] = "is not an image of this namespace"
        elif placement.seq != seq:
            kept[image_id] = f"was decided again meanwhile: its seq is {placement.seq}, not {seq}"
        elif world.standing.is_forced(image_id):
            kept[image_id] = "was forced into its cluster"
        else:
            fit.append(placement)
    return fit


def _already(world: World, body: Move, movers: list[Placement], target: ClusterInfo | None) -> set[ImageId]:
    """Those that are where they are to go."""
    if target is not None:
        return {placement.image_id for placement in movers if placement.cluster_id == target.cluster_id}
    clusters = world.clusters(movers)
    if body.to == "each":
        return {placement.image_id for placement in movers if clusters[placement.cluster_id].size == 1}
    whole = len(clusters) == 1 and next(iter(clusters.values())).size == len(movers)
    return {placement.image_id for placement in movers} if whole else set()


def _obeying_verdicts(
    world: World, movers: list[Placement], target: ClusterInfo | None, kept: dict[ImageId, str], *, together: bool
) -> list[Placement]:
    """Those that no verdict keeps; the reasons of the others go to `kept`. Whoever is kept may keep its partners."""
    verdicts = world.standing.verdicts
    while True:
        moving = {placement.image_id for placement in movers} if together else set[ImageId]()
        fit: list[Placement] = []
        for placement in movers:
            image_id = placement.image_id
            why = None if target is None else world.kept_out(image_id, target)
            why = why or _left_behind(world, placement, moving, target)
            apart = verdicts.kept_apart_from(image_id)
            met = next((one.image_id for one in fit if together and one.image_id in apart), None)
            if met is not None:
                why = why or f"a cannot-link keeps it apart from {met!r}, which is moved too"
            if why is None:
                fit.append(placement)
            else:
                kept[image_id] = why
        if len(fit) == len(movers):
            return fit
        movers = fit


def _left_behind(
    world: World, placement: Placement, moving: Iterable[ImageId], target: ClusterInfo | None
) -> str | None:
    others = [one for one in world.standing.verdicts.group(placement.image_id) if one != placement.image_id]
    for other, where in world.placements(one for one in others if one not in moving).items():
        if target is None or where.cluster_id != target.cluster_id:
            return f"a must-link keeps it with {other!r}, which is not moved"
    return None
