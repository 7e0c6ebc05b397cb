"""The answer to a command in the making: what it names, as the store has it, and the entries that it comes to.

Ports only. The store must show every entry before the command, and nobody else decides meanwhile.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from graph.standing import Standing
from neardup.commands import Command, in_words
from neardup.commands import named_by as named
from neardup.entries import Decision, Entry, HeadChanged, Refused, Rule, Unchanged
from neardup.ports import ClusterStore
from neardup.types import ClusterId, ClusterInfo, ImageId, Placement

__all__ = ["NUMBER_SIGN", "AlreadySoError", "Answer", "RefusedError", "World", "free_cluster_id"]

NUMBER_SIGN: Final = "#"
"""In the id of every cluster that does not have the id of its first head."""

_NAMED_AT_MOST = 10
_PAGE = 1000


class RefusedError(Exception):
    """The command cannot be obeyed; the text says why."""


class AlreadySoError(Exception):
    """The command asks for what is already so; the text says what."""


class World:
    """What commands can name, and what was said before them. Where an image is, is read once: commands that share a
    world change nothing of one another's."""

    def __init__(self, store: ClusterStore, standing: Standing) -> None:
        self.store = store
        self.standing = standing
        self._placements: dict[ImageId, Placement | None] = {}

    def image(self, image_id: ImageId) -> Placement:
        """Where an image is. Raises RefusedError when it is not decided, or was erased."""
        placement = self.placements([image_id]).get(image_id)
        if placement is None:
            raise RefusedError(f"{image_id!r} is not an image of this namespace")
        return placement

    def placements(self, image_ids: Iterable[ImageId]) -> dict[ImageId, Placement]:
        """Where these images are, in their order; those that are not decided are absent."""
        wanted = list(image_ids)
        unknown = [image_id for image_id in wanted if image_id not in self._placements]
        if unknown:
            found = self.store.placements(unknown)
            self._placements |= {image_id: found.get(image_id) for image_id in unknown}
        placements = ((image_id, self._placements[image_id]) for image_id in wanted)
        return {image_id: placement for image_id, placement in placements if placement is not None}

    def cluster(self, name: ImageId) -> ClusterInfo:
        """The cluster that an image is in, or that has this id or had it. Raises RefusedError when there is none."""
        placement = self.placements([name]).get(name)
        cluster_id = ClusterId(name) if placement is None else placement.cluster_id
        info = self.store.clusters([cluster_id]).get(cluster_id)
        if info is None:
            raise RefusedError(f"{name!r} is neither an image nor a cluster of this namespace")
        return info

    def clusters(self, placements: Iterable[Placement]) -> dict[ClusterId, ClusterInfo]:
        """The clusters that hold these images, in their order."""
        wanted = list(dict.fromkeys(placement.cluster_id for placement in placements))
        found = self.store.clusters(wanted)
        return {cluster_id: found[cluster_id] for cluster_id in wanted}

    def new_cluster_ids(self, image_ids: Sequence[ImageId], seq: int) -> list[ClusterId]:
        """The ids of new clusters of these images: their own, or where another cluster has that, one with the seq that
        makes it; the first is made by `seq`."""
        taken = self.store.clusters([ClusterId(image_id) for image_id in image_ids])
        return [
            ClusterId(image_id) if ClusterId(image_id) not in taken else free_cluster_id(self.store, image_id, made_by)
            for made_by, image_id in enumerate(image_ids, start=seq)
        ]

    def first_members(self, cluster_id: ClusterId, count: int, *, without: set[ImageId]) -> list[ImageId]:
        """The first members in the order of reading, at most so many, those of `without` passed over."""
        found: list[ImageId] = []
        page = self.store.members(cluster_id, limit=_PAGE)
        while True:
            found += [member.image_id for member in page.members if member.image_id not in without]
            if len(found) >= count or page.after is None:
                return found[:count]
            page = self.store.members(cluster_id, after=page.after, limit=_PAGE)

    def first_member(self, cluster_id: ClusterId, *, without: set[ImageId]) -> ImageId | None:
        """The first of them, None when there is none."""
        return next(iter(self.first_members(cluster_id, 1, without=without)), None)

    def kept_out(self, image_id: ImageId, cluster: ClusterInfo) -> str | None:
        """Which cannot-link keeps an image out of a cluster, in words; None when none does."""
        apart = self.standing.verdicts.kept_apart_from(image_id)
        for other, placement in self.placements(apart).items():
            if placement.cluster_id == cluster.cluster_id:
                return f"a cannot-link keeps {image_id!r} apart from {other!r}, which is in it"
        return None


class Answer:
    """The entries of one command, from `seq` on, all of one transaction."""

    def __init__(self, command: Command, *, seq: int, offset: int) -> None:
        self.command = command
        self.entries: list[Entry] = []
        self._seq = seq
        self._common = {
            "actor": command.actor,
            "reason": command.reason,
            "command_id": command.command_id,
            "proposal_offset": offset,
            "at_ms": command.at_ms,
        }

    @property
    def next_seq(self) -> int:
        """The seq of the next entry."""
        return self._seq + len(self.entries)

    def add(self, kind: Callable[..., Entry], **fields: Any) -> None:
        """One more entry of this kind, with these fields besides those that all have."""
        self.entries.append(kind(seq=self.next_seq, **self._common, **fields))

    def refuse(self, because: str) -> None:
        """The command comes to nothing."""
        self._only(Refused, because)

    def unchanged(self, because: str) -> None:
        """What the command asks for is so already."""
        self._only(Unchanged, because)

    def move(self, placement: Placement, *, to: ClusterId, head: ImageId, rule: Rule) -> None:
        """Decide that an image is in this cluster, which has this head then. One that comes from elsewhere is indexed:
        nothing stands for it there."""
        self._decide(placement, to=to, head=head, rule=rule, indexed=placement.indexed or placement.cluster_id != to)

    def index(self, placement: Placement, *, head: ImageId) -> None:
        """Decide that an image stays where it is and stands for its cluster in searches."""
        self._decide(placement, to=placement.cluster_id, head=head, rule="exemplar", indexed=True)

    def free_heads(self, world: World, movers: Sequence[Placement]) -> None:
        """Before images leave their clusters, in this order: pass the head on to the first member that stays, else to
        the last one that leaves."""
        for cluster in world.clusters(movers).values():
            leaving = [placement.image_id for placement in movers if placement.cluster_id == cluster.cluster_id]
            if cluster.head not in leaving:
                continue
            stays = cluster.size > len(leaving)
            head = world.first_member(cluster.cluster_id, without=set(leaving)) if stays else leaving[-1]
            if head is not None and head != cluster.head:
                self.add(HeadChanged, cluster_id=cluster.cluster_id, head=head, previous_head=cluster.head)

    def _decide(self, placement: Placement, *, to: ClusterId, head: ImageId, rule: Rule, indexed: bool) -> None:
        stays = placement.cluster_id == to
        self.add(
            Decision,
            image_id=placement.image_id,
            version=placement.version,
            run=placement.run,
            cluster_id=to,
            segment=placement.segment if stays else to,
            head=head,
            previous_cluster=None if stays else placement.cluster_id,
            previous_seq=placement.seq,
            rule=rule,
            indexed=indexed,
            evidence=None,
        )

    def _only(self, kind: Callable[..., Entry], because: str) -> None:
        self.entries.clear()
        body = self.command.body
        self.add(kind, command=in_words(body), images=named(body)[:_NAMED_AT_MOST], because=because)


def free_cluster_id(store: ClusterStore, image_id: ImageId, seq: int) -> ClusterId:
    """The id of a new cluster of this image whose own id another cluster has: one with the seq that makes it."""
    cluster_id = ClusterId(f"{image_id}{NUMBER_SIGN}{seq}")
    while store.clusters([cluster_id]):
        cluster_id = ClusterId(f"{cluster_id}{NUMBER_SIGN}{seq}")
    return cluster_id
