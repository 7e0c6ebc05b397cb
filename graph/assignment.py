"""The assignment policy: scored matches -> cluster. Pure.

The relation "near-duplicate" is not transitive; a cluster is named by its head. Joining needs a match at the threshold
and the chain guard: the head must resemble the image too, or enough members must.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from neardup.types import ClusterId, ClusterInfo, ImageId, Match, Placement, Rule

__all__ = ["Assignment", "PlacedMatch", "assign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedMatch:
    """A match and the cluster that holds it at the moment of deciding."""

    match: Match
    cluster: ClusterInfo


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


def assign(
    image_id: ImageId,
    *,
    current: Placement | None,
    current_size: int,
    matches: Sequence[PlacedMatch],
    any_candidate: bool,
    head_bound: float,
    enough_members: int,
    enough_exemplars: int,
    head_score: Callable[[ImageId], float],
) -> Assignment:
    """The cluster of the best match, or the image's own.

    `matches` are those at or above the match threshold; best is by score, overlap, older cluster, id.
    `head_score(head)` is asked only when the head is not among them and fewer than `enough_members` members of its
    cluster are. An image that joins a cluster of which it matches `enough_exemplars` members or more, and that matches
    no other cluster, adds nothing to searches: it is not indexed.
    """
    if current is not None and current.head == image_id and current_size > 1:
        # Others are named after it: a new version of a head moves nobody.
        return Assignment(cluster_id=current.cluster_id, head=image_id, rule="head-kept", bridges=_bridges(matches))
    own = ClusterId(image_id)
    if not matches:
        return Assignment(cluster_id=own, head=image_id, rule="below-threshold" if any_candidate else "no-candidate")
    best = min(matches, key=_rank)
    cluster = best.cluster
    witnesses = [placed.match for placed in matches if placed.cluster.cluster_id == cluster.cluster_id]
    asked: float | None = None
    agreed = len(witnesses) >= enough_members or any(match.image_id == cluster.head for match in witnesses)
    if not agreed:
        asked = head_score(cluster.head)
        agreed = asked >= head_bound
    if not agreed:
        return Assignment(
            cluster_id=own, head=image_id, rule="chain-guard", bridges=_bridges(matches), head_score=asked
        )
    bridges = _bridges(matches, joined=cluster.cluster_id)
    return Assignment(
        cluster_id=cluster.cluster_id,
        head=cluster.head,
        rule="best-match",
        bridges=bridges,
        head_score=asked,
        indexed=bool(bridges) or len(witnesses) < enough_exemplars or image_id == cluster.head,
    )


def _rank(placed: PlacedMatch) -> tuple[float, int, int, ImageId]:
    match = placed.match
    return -match.score, -match.overlap, placed.cluster.since, match.image_id


def _bridges(matches: Sequence[PlacedMatch], *, joined: ClusterId | None = None) -> tuple[ClusterId, ...]:
    """The other clusters that this image matches, best first; bounded, for one image can resemble many heads."""
    seen = dict.fromkeys(placed.cluster.cluster_id for placed in sorted(matches, key=_rank))
    return tuple(cluster for cluster in seen if cluster != joined)[:10]
