"""What people said that concerns one image and the clusters it matches. Pure."""

from collections.abc import Callable, Iterator, Sequence

from graph.assignment import PlacedMatch, Said
from graph.standing import Standing
from neardup.entries import Barred
from neardup.types import ClusterId, ClusterInfo, ImageId, Placement

__all__ = ["concerned", "said_of"]


def concerned(image_id: ImageId, standing: Standing) -> Iterator[ImageId]:
    """The images whose place `said_of` asks for."""
    yield from standing.verdicts.group(image_id)[1:]
    yield from standing.verdicts.kept_apart_from(image_id)


def said_of(
    image_id: ImageId,
    matches: Sequence[PlacedMatch],
    *,
    was: Placement | None,
    standing: Standing,
    placement: Callable[[ImageId], Placement | None],
    cluster: Callable[[ClusterId], ClusterInfo | None],
) -> Said:
    """A cannot-link bars the cluster of everybody that it keeps the image apart from; a quarantine bars a cluster that
    the image is not in already. Must-linked images are in one cluster; should they not be, the oldest counts."""
    verdicts = standing.verdicts
    with_it = [placed for one in verdicts.group(image_id)[1:] if (placed := placement(one)) is not None]
    belongs = [home for placed in with_it if (home := cluster(placed.cluster_id)) is not None]
    apart = {
        placed.cluster_id: one for one in verdicts.kept_apart_from(image_id) if (placed := placement(one)) is not None
    }
    barred: dict[ClusterId, Barred] = {}
    for cluster_id in (match.cluster.cluster_id for match in matches):
        if cluster_id in apart:
            barred[cluster_id] = Barred(cluster_id=cluster_id, rule="cannot-link", by=apart[cluster_id])
        elif standing.is_quarantined(cluster_id) and (was is None or was.cluster_id != cluster_id):
            barred[cluster_id] = Barred(cluster_id=cluster_id, rule="quarantined")
    return Said(
        forced=standing.is_forced(image_id),
        belongs=min(belongs, key=lambda home: (home.since, home.cluster_id), default=None),
        barred=tuple(barred.values()),
    )
