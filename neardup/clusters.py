"""The ledger folded: which image is in which cluster. Pure; the reference that every projection must equal."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from neardup.cursors import DIGEST_LENGTH, format_cursor, format_newest, no_such_segment, parse_cursor, parse_newest
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.errors import ClusterConflictError
from neardup.types import ClusterId, ClusterInfo, ImageId, Member, MemberOrder, Page, Placement, Position, Segment

__all__ = ["ClusterState", "Part", "placement_of", "require_consecutive"]


def require_consecutive(entries: Sequence[Entry], upto: Position) -> None:
    """Raises ValueError unless the entries are without a gap and `upto` is the position of the last."""
    for previous, entry in pairwise(entries):
        if entry.seq != previous.seq + 1:
            raise ValueError(f"entries: seq {entry.seq} follows {previous.seq}")
    if entries and upto.seq != entries[-1].seq:
        raise ValueError(f"upto: seq {upto.seq}, but the last entry has {entries[-1].seq}")


def placement_of(decision: Decision) -> Placement:
    """Where a decision puts its image."""
    return Placement(
        image_id=decision.image_id,
        cluster_id=decision.cluster_id,
        segment=decision.segment,
        head=decision.head,
        version=decision.version,
        run=decision.run,
        seq=decision.seq,
        indexed=decision.indexed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A cluster or a part of another one as it is kept: `root` and `parent` are set for the latter. `parts`: those that
    it has or had. `own_size` and `own_exemplars` count its own members, `size` and `exemplars` those of `parts` too."""

    cluster_id: ClusterId
    head: ImageId
    since: int
    root: ClusterId | None
    parent: ClusterId | None
    parts: tuple[ClusterId, ...]
    size: int
    exemplars: int
    own_size: int
    own_exemplars: int


@dataclass(slots=True)
class _Cluster:
    """A cluster, or a part of another one: then `root` and `parent` are set, and `head` and `parts` are those it had
    when it was merged (less what was unmerged since)."""

    head: ImageId
    since: int
    root: ClusterId | None = None
    parent: ClusterId | None = None
    parts: list[ClusterId] = field(default_factory=list)
    exemplars: int = 0
    members: dict[ImageId, int] = field(default_factory=dict)
    """Member seqs of this part alone; in ascending order, since members only come in at the end."""


@dataclass(frozen=True, slots=True)
class _Image:
    segment: ClusterId
    version: int
    run: int
    seq: int
    indexed: bool


class ClusterState:
    """All clusters after the entries applied so far.

    An image leaves the cluster it is in and enters the own part of the decided one, with the decision's seq as member
    seq. If it stays in its cluster it keeps part and member seq, so that pages stay stable. The first member makes a
    cluster, and makes it anew after it was empty; `decision.head` is its head from then on.

    A merge moves nobody: the merged cluster becomes a part of its new root, with the parts it has, and unmerging it
    takes away exactly these. Parts that are left without members stay for as long as their root has any.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.seq = 0
        self._clusters: dict[ClusterId, _Cluster] = {}
        self._images: dict[ImageId, _Image] = {}
        for entry in entries:
            self.apply(entry)

    def apply(self, entry: Entry) -> None:
        """Raises ClusterConflictError, with nothing changed, when the seq is not the next one, when a head would leave
        members behind, or when a cluster is not there or is a part of another one."""
        if entry.seq != self.seq + 1:
            raise ClusterConflictError(f"seq {entry.seq}: the applied seq is {self.seq}")
        match entry:
            case Decision():
                self._decide(entry)
            case HeadChanged():
                self._root_of(entry.cluster_id).head = entry.head
            case ClusterMerged():
                self._merge(entry)
            case ClusterUnmerged():
                self._unmerge(entry)
            case ImageErased():
                self._erase(entry)
            case _:
                pass
        self.seq = entry.seq

    def placement(self, image_id: ImageId) -> Placement | None:
        """Where the image is; None when it was never decided or is erased."""
        placed = self._images.get(image_id)
        if placed is None:
            return None
        root = self._resolve(placed.segment)
        return Placement(
            image_id=image_id,
            cluster_id=root,
            segment=placed.segment,
            head=self._clusters[root].head,
            version=placed.version,
            run=placed.run,
            seq=placed.seq,
            indexed=placed.indexed,
        )

    def placements(self) -> Iterator[Placement]:
        """Every placement, in the order in which images came first."""
        for image_id in self._images:
            placement = self.placement(image_id)
            if placement is not None:
                yield placement

    def cluster(self, cluster_id: ClusterId) -> ClusterInfo | None:
        """The cluster of this id, or the one it is a part of; None when it is unknown or empty."""
        if cluster_id not in self._clusters:
            return None
        root_id = self._resolve(cluster_id)
        root = self._clusters[root_id]
        parts = self._parts(root_id)
        return ClusterInfo(
            cluster_id=root_id,
            head=root.head,
            size=sum(len(part.members) for part in parts.values()),
            since=root.since,
            exemplars=sum(part.exemplars for part in parts.values()),
            merged=tuple(root.parts),
        )

    def clusters(self) -> Iterator[ClusterInfo]:
        """Every cluster, the oldest first."""
        for cluster_id, cluster in self._clusters.items():
            info = self.cluster(cluster_id) if cluster.root is None else None
            if info is not None:
                yield info

    def segments(self, cluster_id: ClusterId) -> tuple[Segment, ...]:
        """All parts of the cluster of this id, or of the one it is a part of, in the order of reading."""
        if cluster_id not in self._clusters:
            return ()
        return tuple(
            Segment(
                cluster_id=part_id,
                parent=part.parent,
                head=part.head,
                size=len(part.members),
                first=next(iter(part.members), None),
            )
            for part_id, part in self._parts(self._resolve(cluster_id)).items()
        )

    def part(self, cluster_id: ClusterId) -> Part | None:
        """What is kept under this very id; None when nothing is."""
        cluster = self._clusters.get(cluster_id)
        if cluster is None:
            return None
        parts = self._parts(cluster_id).values()
        return Part(
            cluster_id=cluster_id,
            head=cluster.head,
            since=cluster.since,
            root=cluster.root,
            parent=cluster.parent,
            parts=tuple(cluster.parts),
            size=sum(len(part.members) for part in parts),
            exemplars=sum(part.exemplars for part in parts),
            own_size=len(cluster.members),
            own_exemplars=cluster.exemplars,
        )

    def member_seq(self, image_id: ImageId) -> int | None:
        """The seq as a member, by which members are ordered; None when it is in no cluster."""
        placed = self._images.get(image_id)
        return None if placed is None else self._clusters[placed.segment].members[image_id]

    def members(
        self,
        cluster_id: ClusterId,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: MemberOrder = "oldest",
    ) -> Page:
        """The members behind the cursor, in order; all of them when `limit` is None. Raises InvalidCursorError."""
        if cluster_id not in self._clusters:
            return Page(members=(), after=None)
        parts = self._parts(self._resolve(cluster_id))
        if order == "newest":
            return _newest(parts.values(), below=parse_newest(after), limit=limit)
        names = list(parts)
        seq, digest = parse_cursor(after)
        index = next((at for at, name in enumerate(names) if not digest or _digest(name) == digest), None)
        if index is None:
            raise no_such_segment(after)
        found: list[tuple[ClusterId, Member]] = []
        for name in names[index:]:
            ids, seqs = list(parts[name].members), list(parts[name].members.values())
            start = bisect_right(seqs, seq)
            found += [(name, Member(image_id=ids[at], seq=seqs[at])) for at in range(start, len(ids))]
            seq = 0
        page = found if limit is None else found[:limit]
        more = len(found) > len(page) > 0
        return Page(
            members=tuple(member for _, member in page),
            after=format_cursor(page[-1][1].seq, _digest(page[-1][0])) if more else None,
        )

    def _decide(self, decision: Decision) -> None:
        image_id = decision.image_id
        placed = self._images.get(image_id)
        if placed is None or self._resolve(placed.segment) != decision.cluster_id:
            cluster = self._clusters.get(decision.cluster_id)
            if cluster is not None and cluster.root is not None:
                raise ClusterConflictError(f"cluster {decision.cluster_id!r} is a part of {cluster.root!r}")
            if placed is not None:
                self._leave(image_id, placed)
            segment = decision.cluster_id
            cluster = self._clusters.setdefault(segment, _Cluster(head=decision.head, since=decision.seq))
            cluster.members[image_id] = decision.seq
        else:
            segment = placed.segment
            self._clusters[segment].exemplars -= placed.indexed
        self._clusters[segment].exemplars += decision.indexed
        self._clusters[decision.cluster_id].head = decision.head
        self._images[image_id] = _Image(
            segment=segment,
            version=decision.version,
            run=decision.run,
            seq=decision.seq,
            indexed=decision.indexed,
        )

    def _merge(self, entry: ClusterMerged) -> None:
        source, into = self._root_of(entry.cluster_id), self._root_of(entry.into)
        source.parent = entry.into
        for part in (*source.parts, entry.cluster_id):
            self._clusters[part].root = entry.into
            into.parts.append(part)
        into.head = entry.head

    def _unmerge(self, entry: ClusterUnmerged) -> None:
        cluster = self._clusters.get(entry.cluster_id)
        if cluster is None or cluster.root != entry.out_of:
            raise ClusterConflictError(f"cluster {entry.cluster_id!r} is not a part of {entry.out_of!r}")
        taken = {*cluster.parts, entry.cluster_id}
        parent = cluster.parent
        while parent is not None:
            ancestor = self._clusters[parent]
            ancestor.parts = [part for part in ancestor.parts if part not in taken]
            parent = ancestor.parent
        for part in cluster.parts:
            self._clusters[part].root = entry.cluster_id
        cluster.root = cluster.parent = None
        cluster.head = entry.head
        self._forget_if_empty(entry.out_of)

    def _erase(self, entry: ImageErased) -> None:
        placed = self._images.get(entry.image_id)
        if placed is None:
            return
        root = self._resolve(placed.segment)
        if entry.head is not None:
            self._clusters[root].head = entry.head
        self._leave(entry.image_id, placed)
        del self._images[entry.image_id]

    def _leave(self, image_id: ImageId, placed: _Image) -> None:
        root_id = self._resolve(placed.segment)
        if self._clusters[root_id].head == image_id and self._size(root_id) > 1:
            raise ClusterConflictError(f"image {image_id!r} is the head of a cluster with other members")
        segment = self._clusters[placed.segment]
        del segment.members[image_id]
        segment.exemplars -= placed.indexed
        self._forget_if_empty(root_id)

    def _forget_if_empty(self, root_id: ClusterId) -> None:
        if self._size(root_id) == 0:
            for part in (*self._clusters[root_id].parts, root_id):
                del self._clusters[part]

    def _size(self, root_id: ClusterId) -> int:
        return sum(len(part.members) for part in self._parts(root_id).values())

    def _parts(self, root_id: ClusterId) -> dict[ClusterId, _Cluster]:
        return {part: self._clusters[part] for part in (*self._clusters[root_id].parts, root_id)}

    def _resolve(self, cluster_id: ClusterId) -> ClusterId:
        return self._clusters[cluster_id].root or cluster_id

    def _root_of(self, cluster_id: ClusterId) -> _Cluster:
        cluster = self._clusters.get(cluster_id)
        if cluster is None or cluster.root is not None:
            raise ClusterConflictError(f"cluster {cluster_id!r} is {'not there' if cluster is None else 'a part'}")
        return cluster


def _newest(parts: Iterable[_Cluster], *, below: int, limit: int | None) -> Page:
    found = [
        Member(image_id=image_id, seq=seq) for part in parts for image_id, seq in part.members.items() if seq < below
    ]
    found.sort(key=lambda member: member.seq, reverse=True)
    page = found if limit is None else found[:limit]
    return Page(members=tuple(page), after=format_newest(page[-1].seq) if len(found) > len(page) > 0 else None)


def _digest(segment: ClusterId) -> str:
    return hashlib.blake2b(segment.encode(), digest_size=DIGEST_LENGTH // 2).hexdigest()
