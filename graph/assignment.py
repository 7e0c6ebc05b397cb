"""The assignment policy: scored matches, and what people said -> cluster. Pure.

The relation "near-duplicate" is not transitive; a cluster is named by its head. Joining needs a match at the threshold,
or several members that together say as much, and the chain guard: the head must resemble the image too, or enough
members must. A person's word comes first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neardup.entries import Barred, Rule
from neardup.types import ClusterId, ClusterInfo, ImageId, Match
from neardup.witnesses import matched

__all__ = ["Assignment", "PlacedMatch", "Said", "assign", "matching"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedMatch:
    """A match and the cluster that holds it at the moment of deciding."""

    match: Match
    cluster: ClusterInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What people said that concerns an image: it was `forced` where it is; it `belongs` to the cluster of a must-link;
    clusters that it may not join."""

    forced: bool = False
    belongs: ClusterInfo | None = None
    barred: tuple[Barred, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Where an image goes, and why. `head_score` is the score against that head when the chain guard asked for it.

    `indexed`: whether searches need to find this image. A cluster of a million copies would otherwise put all of them
    into the answer of every search near it; see `assign`.
    """

    cluster_id: ClusterId
    head: ImageId
    rule: Rule
    bridges: tuple[ClusterId, ...] = ()
    head_score: float | None = None
    indexed: bool = True


def matching(placed: Sequence[PlacedMatch], match_threshold: float) -> list[PlacedMatch]:
    """Those in clusters that the image matches. `placed`: all that count, in the order of the result."""
    clusters = matched(((each.cluster.cluster_id, each.match.score) for each in placed), match_threshold)
    return [each for each in placed if each.cluster.cluster_id in clusters]


def assign(
    image_id: ImageId,
    *,
    own: ClusterId,
    current: ClusterInfo | None,
    matches: Sequence[PlacedMatch],
    any_candidate: bool,
    said: Said,
    head_bound: float,
    enough_members: int,
    enough_exemplars: int,
    head_score: Callable[[ImageId], float],
) -> Assignment:
    """The cluster of the best match that is not barred, or the image's own.

    `own`: the id of the cluster that it would be the head of. `current`: the cluster that it is in. `matches`: what
    `matching` leaves; best is by score, overlap, older cluster, id. `head_score(head)` is asked only when the head is
    not among them and fewer than `enough_members` members of its cluster are. An image that joins a cluster of which
    `enough_exemplars` members or more count, and that matches no other cluster, adds nothing to searches: it is not
    indexed.
    """
    closed = {bar.cluster_id for bar in said.barred}
    open_to = [placed for placed in matches if placed.cluster.cluster_id not in closed]
    if current is not None and said.forced:
        return _stays(current, "forced", open_to)
    if current is not None and current.head == image_id and current.size > 1:
        # Others are named after it: a new version of a head moves nobody.
        return _stays(current, "head-kept", open_to)
    if said.belongs is not None:
        return _stays(said.belongs, "must-link", open_to)
    if not open_to:
        return Assignment(cluster_id=own, head=image_id, rule=_alone(matches, said.barred, any_candidate))
    best = min(open_to, key=_rank)
    cluster = best.cluster
    witnesses = [placed.match for placed in open_to if placed.cluster.cluster_id == cluster.cluster_id]
    asked: float | None = None
    agreed = len(witnesses) >= enough_members or any(match.image_id == cluster.head for match in witnesses)
    if not agreed:
        asked = head_score(cluster.head)
        agreed = asked >= head_bound
    if not agreed:
        return Assignment(
            cluster_id=own, head=image_id, rule="chain-guard", bridges=_bridges(open_to), head_score=asked
        )
    bridges = _bridges(open_to, joined=cluster.cluster_id)
    return Assignment(
        cluster_id=cluster.cluster_id,
        head=cluster.head,
        rule="best-match",
        bridges=bridges,
        head_score=asked,
        indexed=bool(bridges) or len(witnesses) < enough_exemplars or image_id == cluster.head,
    )


def _stays(cluster: ClusterInfo, rule: Rule, matches: Sequence[PlacedMatch]) -> Assignment:
    bridges = _bridges(matches, joined=cluster.cluster_id)
    return Assignment(cluster_id=cluster.cluster_id, head=cluster.head, rule=rule, bridges=bridges)


def _alone(matches: Sequence[PlacedMatch], barred: Sequence[Barred], any_candidate: bool) -> Rule:
    if not matches:
        return "below-threshold" if any_candidate else "no-candidate"
    return "quarantined" if all(bar.rule == "quarantined" for bar in barred) else "barred"


def _rank(placed: PlacedMatch) -> tuple[float, int, int, ImageId]:
    match = placed.match
    return -match.score, -match.overlap, placed.cluster.since, match.image_id


def _bridges(matches: Sequence[PlacedMatch], *, joined: ClusterId | None = None) -> tuple[ClusterId, ...]:
    """The other clusters that this image matches, best first; bounded, for one image can resemble many heads."""
    seen = dict.fromkeys(placed.cluster.cluster_id for placed in sorted(matches, key=_rank))
    return tuple(cluster for cluster in seen if cluster != joined)[:10]
