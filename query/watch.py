"""Who comes into a cluster and who leaves it, told from the entries of the ledger. Ports only.

A merge or its undoing is told image by image: whoever acts on the members of a cluster need not know of its parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.ports import History
from neardup.types import ClusterId, ImageId

__all__ = ["ClusterEvent", "ClusterWatch", "EventKind"]

EventKind = Literal["joined", "left", "erased", "head"]

_ENTRIES: Final = 500
_MEMBERS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEvent:
    """Something that happened to the cluster that is watched.

    `joined` and `left`: `image_id` is a member from `seq` on, or no longer; `other` is the cluster it comes from or
    goes to, None for a new image. `erased`: it is gone for good. `head`: `image_id` is the head now. `why`: the rule of
    the decision, or the kind of the entry. `cluster_id`: the root that the cluster has now.
    """

    kind: EventKind
    image_id: ImageId
    cluster_id: ClusterId
    other: ClusterId | None
    why: str
    seq: int
    at_ms: int
    actor: str
    reason: str | None


class ClusterWatch:
    """Follows one cluster from a seq on, into a cluster that it is merged into, and out of it again."""

    def __init__(self, history: History, cluster_id: ClusterId, *, root: ClusterId, after: int) -> None:
        self._history = history
        self._home = cluster_id
        self._root = root
        self._seq = after

    @classmethod
    def from_start(cls, history: History, cluster_id: ClusterId) -> "ClusterWatch":
        """Follows the cluster from its first member on."""
        return cls(history, cluster_id, root=cluster_id, after=0)

    @property
    def cluster_id(self) -> ClusterId:
        """The root it has now."""
        return self._root

    def poll(self) -> Iterator[ClusterEvent]:
        """What has happened since the last call, up to what the history has applied. Raises SearchUnavailableError:
        call again; nothing is left out, and what was given of the last entry comes again."""
        while True:
            root = self._root
            entries = self._history.following([root], after=self._seq, limit=_ENTRIES)
            for entry in entries:
                yield from self._events(entry)
                self._seq = entry.seq
                if self._root != root:
                    # What comes next is about another cluster.
                    break
            else:
                if len(entries) < _ENTRIES:
                    return

    def _events(self, entry: Entry) -> Iterator[ClusterEvent]:
        root = self._root
        match entry:
            case Decision(cluster_id=to, previous_cluster=came_from):
                if to == root and (came_from is not None or entry.previous_seq is None):
                    yield self._event("joined", entry, entry.image_id, came_from)
                elif came_from == root and to != root:
                    yield self._event("left", entry, entry.image_id, to)
            case HeadChanged(cluster_id=cluster_id) if cluster_id == root:
                yield self._event("head", entry, entry.head, None)
            case ImageErased(cluster_id=cluster_id) if cluster_id == root:
                yield self._event("erased", entry, entry.image_id, None)
            case ClusterMerged(into=into) if into == root:
                yield from self._all("joined", entry, entry.cluster_id, entry.seq - 1)
            case ClusterMerged(cluster_id=cluster_id) if cluster_id == root:
                yield from self._all("joined", entry, entry.into, entry.seq - 1)
                self._root = entry.into
            case ClusterUnmerged(out_of=out_of) if out_of == root:
                if self._home in entry.segments:
                    yield from self._all("left", entry, out_of, entry.seq)
                    self._root = entry.cluster_id
                else:
                    yield from self._all("left", entry, entry.cluster_id, entry.seq)
            case _:
                pass

    def _all(self, kind: EventKind, entry: Entry, cluster_id: ClusterId, seq: int) -> Iterator[ClusterEvent]:
        """An event for each member that a cluster had at `seq`."""
        after = None
        while True:
            page = self._history.members_at(cluster_id, seq=seq, after=after, limit=_MEMBERS)
            for member in page.members:
                yield self._event(kind, entry, member.image_id, cluster_id)
            if page.after is None:
                return
            after = page.after

    def _event(self, kind: EventKind, entry: Entry, image_id: ImageId, other: ClusterId | None) -> ClusterEvent:
        return ClusterEvent(
            kind=kind,
            image_id=image_id,
            cluster_id=self._root,
            other=other,
            why=entry.rule if isinstance(entry, Decision) else entry.kind,
            seq=entry.seq,
            at_ms=entry.at_ms,
            actor=entry.actor,
            reason=entry.reason,
        )
