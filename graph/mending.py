"""Mending the graph: images and clusters are written as the ledger has them, at exactly the applied position."""

from collections.abc import Iterable
from typing import Any

from gremlin_python.statics import long

from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames
from neardup.clusters import ClusterState
from neardup.types import ClusterId, ImageId

__all__ = ["GraphMender", "clusters_around"]


def clusters_around(state: ClusterState, images: Iterable[ImageId], clusters: Iterable[ClusterId]) -> set[ClusterId]:
    """The clusters that must be written for these images and clusters: theirs, each with its root and all its parts."""
    found = set(clusters)
    for image_id in images:
        placement = state.placement(image_id)
        if placement is not None:
            found.add(placement.cluster_id)
    parts = {segment.cluster_id for cluster_id in found for segment in state.segments(cluster_id)}
    return found | parts


class GraphMender:
    """Writes what the folded ledger says into the graph of one namespace."""

    def __init__(self, gremlin: Gremlin, names: GraphNames) -> None:
        self._gremlin = gremlin
        self._names = names

    def mend(self, state: ClusterState, images: Iterable[ImageId], clusters: Iterable[ClusterId]) -> bool:
        """Write these images, and these clusters, as they are in `state`. False, with nothing written, when the graph
        stands at another seq: fold on and call again. Raises ClusterStoreUnavailableError."""
        outcome, *_ = self._gremlin.run(
            "mend",
            {
                "labels": self._names.labels,
                "projection": self._names.projection_uid,
                "wanted": long(state.seq),
                "clusters": [self._cluster(state, cluster_id) for cluster_id in sorted(clusters)],
                "images": [self._image(state, image_id) for image_id in images],
            },
        )
        return bool(outcome == "mended")

    def _cluster(self, state: ClusterState, cluster_id: ClusterId) -> list[Any]:
        uid = self._names.cluster_uid(cluster_id)
        part = state.part(cluster_id)
        if part is None:
            return [uid, "", "", long(0), "", "", "", *[long(0)] * 4]
        return [
            uid,
            cluster_id,
            part.head,
            long(part.since),
            "" if part.root is None else self._names.cluster_uid(part.root),
            "" if part.parent is None else self._names.cluster_uid(part.parent),
            ",".join(map(self._names.cluster_uid, part.parts)),
            *map(long, (part.size, part.exemplars, part.own_size, part.own_exemplars)),
        ]

    def _image(self, state: ClusterState, image_id: ImageId) -> list[Any]:
        uid = self._names.image_uid(image_id)
        placement, member_seq = state.placement(image_id), state.member_seq(image_id)
        if placement is None or member_seq is None:
            return [uid, "", "", *[long(0)] * 4, "", 0]
        return [
            uid,
            image_id,
            self._names.cluster_uid(placement.segment),
            *map(long, (member_seq, placement.version, placement.run, placement.seq)),
            self._names.walk_uid(placement.seq),
            int(placement.indexed),
        ]
