"""The cluster store on JanusGraph: image -member-> segment, whose root has the head as a property."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gremlin_python.statics import long

from graph.gremlin import Gremlin
from neardup.clusters import require_consecutive
from neardup.crashpoints import crash_point
from neardup.cursors import DIGEST_LENGTH, format_cursor, format_newest, no_such_segment, parse_cursor, parse_newest
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.errors import ClusterConflictError
from neardup.types import (
    ClusterId,
    ClusterInfo,
    ImageId,
    Member,
    MemberOrder,
    Page,
    Placement,
    Position,
    Segment,
    Whereabouts,
)

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
        return _position(self._gremlin.run("position", {"projection": self._names.projection_uid}))

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        require_consecutive(entries, upto)
        if not entries:
            return
        outcome, *detail = self._gremlin.run(
            "apply",
            {
                "labels": self._names.labels,
                "projection": self._names.projection_uid,
                "wanted": long(entries[0].seq - 1),
                "upto": [long(upto.seq), long(upto.ledger_offset), long(upto.proposal_offset)],
                "rows": [row for entry in entries if (row := self._row(entry)) is not None],
            },
        )
        crash_point("project.graph-applied")
        match outcome:
            case "conflict":
                raise ClusterConflictError(f"seq {entries[0].seq}: the applied seq of the graph is {detail[0]}")
            case "head":
                raise ClusterConflictError(f"image {detail[0]!r} is the head of a cluster with other members")
            case "cluster":
                raise ClusterConflictError(f"cluster {detail[0]!r} is not there, or is a part of another one")

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        uids = [self._names.image_uid(image_id) for image_id in dict.fromkeys(image_ids)]
        found = (placement for part in _parts(uids) for placement in self._placements("uid", part))
        return {placement.image_id: placement for placement in found}

    def whereabouts(self, image_ids: Sequence[ImageId]) -> Whereabouts:
        uids = [self._names.image_uid(image_id) for image_id in dict.fromkeys(image_ids)]
        if not uids:
            return Whereabouts(position=self.position(), placements={}, clusters={})
        position: Position | None = None
        placements: list[Placement] = []
        clusters: list[ClusterInfo] = []
        for part in _parts(uids):
            of_position, of_images, of_clusters = self._gremlin.run(
                "whereabouts",
                {"uids": part, "projection": self._names.projection_uid, "member": self._names.member},
            )
            # What was read afterwards has at least this.
            position = position or _position(of_position)
            placements += map(_placement, of_images)
            clusters += map(_cluster, of_clusters)
        assert position is not None
        return Whereabouts(
            position=position,
            placements={placement.image_id: placement for placement in placements},
            clusters={cluster.cluster_id: cluster for cluster in clusters},
        )

    def clusters(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo]:
        asked = {self._names.cluster_uid(cluster_id): cluster_id for cluster_id in cluster_ids}
        rows = (
            row
            for part in _parts(list(asked))
            for row in self._gremlin.run("clusters", {"uids": part, "projection": self._names.projection_uid})
        )
        return {asked[row[0]]: _cluster(row[1:]) for row in rows}

    def segments(self, cluster_id: ClusterId) -> tuple[Segment, ...]:
        rows = self._gremlin.run(
            "segments",
            {
                "cluster": self._names.cluster_uid(cluster_id),
                "projection": self._names.projection_uid,
                "member": self._names.member,
            },
        )
        return tuple(
            Segment(
                cluster_id=ClusterId(row[0]),
                parent=ClusterId(row[1]) if row[1] else None,
                head=ImageId(row[2]),
                size=row[3],
                first=ImageId(row[4]) if row[4] else None,
            )
            for row in rows
        )

    def members(
        self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
    ) -> Page:
        if order == "newest":
            return self._newest(cluster_id, below=parse_newest(after), limit=limit)
        seq, digest = parse_cursor(after)
        outcome, rows = self._gremlin.run(
            "members",
            {
                "cluster": self._names.cluster_uid(cluster_id),
                "projection": self._names.projection_uid,
                "member": self._names.member,
                "after": [digest, long(seq)],
                "limit": long(limit + 1),
                "digestLength": DIGEST_LENGTH,
            },
        )
        if outcome == "cursor":
            raise no_such_segment(after)
        members = tuple(Member(image_id=ImageId(row[0]), seq=row[1]) for row in rows[:limit])
        more = len(rows) > limit and members
        return Page(members=members, after=format_cursor(*rows[limit - 1][1:]) if more else None)

    def _newest(self, cluster_id: ClusterId, *, below: int, limit: int) -> Page:
        rows = self._gremlin.run(
            "members_newest",
            {
                "cluster": self._names.cluster_uid(cluster_id),
                "projection": self._names.projection_uid,
                "member": self._names.member,
                "before": long(below),
                "limit": long(limit + 1),
            },
        )
        members = tuple(Member(image_id=ImageId(row[0]), seq=row[1]) for row in rows[:limit])
        more = len(rows) > limit and members
        return Page(members=members, after=format_newest(members[-1].seq) if more else None)

    def placements_all(self) -> Iterator[Placement]:
        """Walks the seqs up to the position at the start; an image that is decided again meanwhile is given as it is
        then, once, at its newer seq if that lies ahead."""
        last = self.position().seq
        for start in range(1, last + 1, _IDS_A_REQUEST):
            seqs = range(start, min(start + _IDS_A_REQUEST, last + 1))
            yield from self._placements("walk_uid", [self._names.walk_uid(seq) for seq in seqs])

    def _placements(self, lookup: str, uids: list[str]) -> list[Placement]:
        rows = self._gremlin.run(
            "placements",
            {
                "lookup": lookup,
                "uids": uids,
                "projection": self._names.projection_uid,
                "member": self._names.member,
                "isolated": lookup == "walk_uid",
            },
        )
        return list(map(_placement, rows))

    def _row(self, entry: Entry) -> list[Any] | None:
        """What the script needs of an entry; None for one that moves nothing."""
        match entry:
            case Decision():
                return [
                    "decision",
                    *self._image(entry.image_id),
                    *self._cluster(entry.cluster_id),
                    entry.head,
                    long(entry.version),
                    long(entry.run),
                    long(entry.seq),
                    self._names.walk_uid(entry.seq),
                    int(entry.indexed),
                ]
            case HeadChanged():
                return ["head", *self._cluster(entry.cluster_id), entry.head]
            case ClusterMerged():
                return ["merge", *self._cluster(entry.cluster_id), *self._cluster(entry.into), entry.head]
            case ClusterUnmerged():
                return ["unmerge", *self._cluster(entry.cluster_id), *self._cluster(entry.out_of), entry.head]
            case ImageErased():
                return ["erase", *self._image(entry.image_id), entry.head or ""]
            case _:
                return None

    def _image(self, image_id: ImageId) -> tuple[str, str]:
        return self._names.image_uid(image_id), image_id

    def _cluster(self, cluster_id: ClusterId) -> tuple[str, str]:
        return self._names.cluster_uid(cluster_id), cluster_id


def _parts(uids: Sequence[str]) -> Iterator[list[str]]:
    """What one request asks for at most."""
    for start in range(0, len(uids), _IDS_A_REQUEST):
        yield list(uids[start : start + _IDS_A_REQUEST])


def _position(row: Sequence[Any]) -> Position:
    return Position(seq=row[0], ledger_offset=row[1], proposal_offset=row[2]) if row else Position()


def _placement(row: Sequence[Any]) -> Placement:
    return Placement(
        image_id=ImageId(row[0]),
        cluster_id=ClusterId(row[1]),
        segment=ClusterId(row[2]),
        head=ImageId(row[3]),
        version=row[4],
        run=row[5],
        seq=row[6],
        indexed=bool(row[7]),
    )


def _cluster(row: Sequence[Any]) -> ClusterInfo:
    return ClusterInfo(
        cluster_id=ClusterId(row[0]),
        head=ImageId(row[1]),
        size=row[2],
        since=row[3],
        exemplars=row[4],
        merged=tuple(map(ClusterId, row[5])),
    )
