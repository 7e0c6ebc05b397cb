"""Dropping the graph of a namespace so that the projector makes it again; nobody reads a part for the whole."""

from collections.abc import Sequence

from gremlin_python.statics import long

from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames
from neardup.types import ClusterId, ImageId

__all__ = ["GraphRebuild"]

_IDS_A_REQUEST = 500


class GraphRebuild:
    """`begin` closes the graph: readers and the projector get ClusterStoreUnavailableError. Then everything is dropped,
    images first, since a cluster that still has its members is a large transaction. `open` lets the projector begin at
    the first entry; readers wait until it has come to where the ledger was. Interrupted, the graph stays closed: begin
    again. All methods raise ClusterStoreUnavailableError."""

    def __init__(self, gremlin: Gremlin, names: GraphNames) -> None:
        self._gremlin = gremlin
        self._names = names

    def begin(self, *, upto: int) -> None:
        """Close the graph; `upto`: the end of the ledger."""
        bindings = {"labels": self._names.labels, "projection": self._names.projection_uid, "upto": long(upto)}
        self._gremlin.run("rebuild_begin", bindings)

    def drop_images(self, image_ids: Sequence[ImageId], seqs: Sequence[int]) -> None:
        """Remove these images, and those that were decided last with these seqs."""
        self._drop([self._names.image_uid(image_id) for image_id in image_ids], list(map(self._names.walk_uid, seqs)))

    def drop_clusters(self, cluster_ids: Sequence[ClusterId]) -> None:
        """Remove these clusters."""
        self._drop([self._names.cluster_uid(cluster_id) for cluster_id in cluster_ids], [])

    def open(self) -> None:
        """Let the projector begin."""
        self._gremlin.run("rebuild_open", {"projection": self._names.projection_uid})

    def _drop(self, uids: list[str], walk_uids: list[str]) -> None:
        for start in range(0, max(len(uids), len(walk_uids)), _IDS_A_REQUEST):
            part = slice(start, start + _IDS_A_REQUEST)
            self._gremlin.run("rebuild_drop", {"uids": uids[part], "walkUids": walk_uids[part]})
