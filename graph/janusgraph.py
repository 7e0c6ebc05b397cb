"""The cluster store on JanusGraph: image -member-> cluster, with the head as a property of the cluster."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gremlin_python.statics import long

from graph.gremlin import Gremlin
from neardup.clusters import require_consecutive
from neardup.crashpoints import crash_point
from neardup.errors import ClusterConflictError
from neardup.types import ClusterId, ClusterInfo, Decision, ImageId, Member, Page, Placement, Position

__all__ = ["GraphNames", "JanusGraphClusterStore"]

_IDS_A_REQUEST = 500


@dataclass(frozen=True, slots=True)
class GraphNames:
    """Labels and index keys of one namespace.

    Index keys are digests: sequential keys make concurrent writers lose races under serializable isolation.
    """

    namespace: str

    @property
    def labels(self) -> list[str]:
        """Vertex labels image, cluster, projection and the edge label member, as the scripts want them."""
        return [f"{self.namespace}_{kind}" for kind in ("image", "cluster", "projection", "member")]

    @property
    def member(self) -> str:
        return self.labels[3]

    @property
    def projection_uid(self) -> str:
        return self._uid("projection", "applied")

    def image_uid(self, image_id: str) -> str:
        return self._uid("image", image_id)

    def cluster_uid(self, cluster_id: str) -> str:
        return self._uid("cluster", cluster_id)

    def walk_uid(self, seq: int) -> str:
        """By this an image is found that was last decided with `seq`: a walk needs neither a scan nor an order."""
        return self._uid("walk", str(seq))

    def _uid(self, kind: str, name: str) -> str:
        return hashlib.blake2b(f"{self.namespace}|{kind}|{name}".encode(), digest_size=16).hexdigest()


class JanusGraphClusterStore:
    """The port ClusterStore for one namespace; the connections of `gremlin` are the caller's to close."""

    def __init__(self, gremlin: Gremlin, names: GraphNames) -> None:
        self._gremlin = gremlin
        self._names = names

    def position(self) -> Position:
        row = self._gremlin.run("position", {"projection": self._names.projection_uid})
        return Position(seq=row[0], ledger_offset=row[1], proposal_offset=row[2]) if row else Position()

    def apply(self, decisions: Sequence[Decision], *, upto: Position) -> None:
        require_consecutive(decisions, upto)
        if not decisions:
            return
        outcome, *detail = self._gremlin.run(
            "apply",
            {
                "labels": self._names.labels,
                "projection": self._names.projection_uid,
                "wanted": long(decisions[0].seq - 1),
                "upto": [long(upto.seq), long(upto.ledger_offset), long(upto.proposal_offset)],
                "rows": [self._row(decision) for decision in decisions],
            },
        )
        crash_point("project.graph-applied")
        if outcome == "conflict":
            raise ClusterConflictError(f"seq {decisions[0].seq}: the applied seq of the graph is {detail[0]}")
        if outcome == "head":
            raise ClusterConflictError(f"image {detail[0]!r} is the head of a cluster with other members")

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        uids = [self._names.image_uid(image_id) for image_id in dict.fromkeys(image_ids)]
        found = (
            placement
            for start in range(0, len(uids), _IDS_A_REQUEST)
            for placement in self._placements("uid", uids[start : start + _IDS_A_REQUEST])
        )
        return {placement.image_id: placement for placement in found}

    def clusters(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo]:
        uids = [self._names.cluster_uid(cluster_id) for cluster_id in dict.fromkeys(cluster_ids)]
        found: dict[ClusterId, ClusterInfo] = {}
        for start in range(0, len(uids), _IDS_A_REQUEST):
            for row in self._gremlin.run("clusters", {"uids": uids[start : start + _IDS_A_REQUEST]}):
                info = ClusterInfo(
                    cluster_id=ClusterId(row[0]), head=ImageId(row[1]), size=row[2], since=row[3], exemplars=row[4]
                )
                found[info.cluster_id] = info
        return found

    def members(self, cluster_id: ClusterId, *, after: int = 0, limit: int = 100) -> Page:
        rows = self._gremlin.run(
            "members",
            {
                "cluster": self._names.cluster_uid(cluster_id),
                "projection": self._names.projection_uid,
                "member": self._names.member,
                "after": long(after),
                "limit": long(limit + 1),
            },
        )
        members = tuple(Member(image_id=ImageId(row[0]), seq=row[1]) for row in rows[:limit])
        return Page(members=members, after=members[-1].seq if len(rows) > limit and members else None)

    def placements_all(self) -> Iterator[Placement]:
        """Walks the seqs up to the position at the start; an image that is decided again meanwhile is given as it is
        then, once, at its newer seq if that lies ahead."""
        last = self.position().seq
        for start in range(1, last + 1, _IDS_A_REQUEST):
            seqs = range(start, min(start + _IDS_A_REQUEST, last + 1))
            yield from self._placements("walk_uid", [self._names.walk_uid(seq) for seq in seqs])

    def _placements(self, lookup: str, uids: Sequence[str]) -> list[Placement]:
        rows = self._gremlin.run(
            "placements",
            {"lookup": lookup, "uids": list(uids), "member": self._names.member, "isolated": lookup == "walk_uid"},
        )
        return [
            Placement(
                image_id=ImageId(row[0]),
                cluster_id=ClusterId(row[1]),
                head=ImageId(row[2]),
                version=row[3],
                run=row[4],
                seq=row[5],
                indexed=bool(row[6]),
            )
            for row in rows
        ]

    def _row(self, decision: Decision) -> list[Any]:
        return [
            self._names.image_uid(decision.image_id),
            decision.image_id,
            self._names.cluster_uid(decision.cluster_id),
            decision.cluster_id,
            decision.head,
            long(decision.version),
            long(decision.run),
            long(decision.seq),
            self._names.walk_uid(decision.seq),
            int(decision.indexed),
        ]
