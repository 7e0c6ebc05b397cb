"""What commands can name, as the store has it, and as the erasures before them leave it. Ports only.

The store must show every entry before the commands, and nobody else decides meanwhile.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from graph.refusal import RefusedError
from graph.standing import Standing
from neardup.clusters import placement_of
from neardup.entries import Decision, Entry, ImageErased
from neardup.ports import ClusterStore
from neardup.types import ClusterId, ClusterInfo, ImageId, Placement

__all__ = ["NUMBER_SIGN", "World", "free_cluster_id"]

NUMBER_SIGN: Final = "#"
"""In the id of every cluster that does not have the id of its first head."""

_PAGE = 1000


class World:
    """Where images are and what clusters are like, each read once, and what was said before. Erasures that share a
    world are taken into it one after the other (`take`), before the store shows them."""

    def __init__(self, store: ClusterStore, standing: Standing) -> None:
        self.store = store
        self.standing = standing
        self._placements: dict[ImageId, Placement | None] = {}
        self._clusters: dict[ClusterId, ClusterInfo | None] = {}
        self._erased: set[ImageId] = set()

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
            self._placements |= dict.fromkeys(unknown)
            for placement in self.store.placements(unknown).values():
                known = self._clusters.get(placement.cluster_id)
                # The head may have changed since.
                self._placements[placement.image_id] = replace(placement, head=known.head) if known else placement
        placements = ((image_id, self._placements[image_id]) for image_id in wanted)
        return {image_id: placement for image_id, placement in placements if placement is not None}

    def cluster(self, name: ImageId) -> ClusterInfo:
        """The cluster that an image is in, or that has this id or had it. Raises RefusedError when there is none."""
        placement = self.placements([name]).get(name)
        cluster_id = ClusterId(name) if placement is None else placement.cluster_id
        info = self._read([cluster_id])[cluster_id]
        if info is None:
            raise RefusedError(f"{name!r} is neither an image nor a cluster of this namespace")
        return info

    def clusters(self, placements: Iterable[Placement]) -> dict[ClusterId, ClusterInfo]:
        """The clusters that hold these images, in their order."""
        found = self._read(list(dict.fromkeys(placement.cluster_id for placement in placements)))
        return {cluster_id: info for cluster_id, info in found.items() if info is not None}

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
        without = without | self._erased
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

    def take(self, entries: Iterable[Entry]) -> None:
        """What an erasure came to holds from now on: the image is gone, others may stand for its cluster."""
        for entry in entries:
            match entry:
                case ImageErased():
                    was = self.placements([entry.image_id]).get(entry.image_id)
                    self._erased.add(entry.image_id)
                    self._placements[entry.image_id] = None
                    if was is not None:
                        self._change(was, entry.head, size=-1, exemplars=-was.indexed)
                case Decision():
                    was = self.placements([entry.image_id])[entry.image_id]
                    self._placements[entry.image_id] = placement_of(entry)
                    self._change(was, entry.head, size=0, exemplars=entry.indexed - was.indexed)
                case _:
                    pass

    def _change(self, was: Placement, head: ImageId | None, *, size: int, exemplars: int) -> None:
        cluster_id = was.cluster_id
        info = self.clusters([was])[cluster_id]
        if head is None:
            self._clusters[cluster_id] = None
            return
        self._clusters[cluster_id] = replace(
            info, head=head, size=info.size + size, exemplars=info.exemplars + exemplars
        )
        if head != info.head:
            for image_id, placement in self._placements.items():
                if placement is not None and placement.cluster_id == cluster_id:
                    self._placements[image_id] = replace(placement, head=head)

    def _read(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo | None]:
        unknown = [cluster_id for cluster_id in cluster_ids if cluster_id not in self._clusters]
        if unknown:
            found = self.store.clusters(unknown)
            self._clusters |= {cluster_id: found.get(cluster_id) for cluster_id in unknown}
        return {cluster_id: self._clusters[cluster_id] for cluster_id in cluster_ids}


def free_cluster_id(store: ClusterStore, image_id: ImageId, seq: int) -> ClusterId:
    """The id of a new cluster of this image whose own id another cluster has: one with the seq that makes it."""
    cluster_id = ClusterId(f"{image_id}{NUMBER_SIGN}{seq}")
    while store.clusters([cluster_id]):
        cluster_id = ClusterId(f"{cluster_id}{NUMBER_SIGN}{seq}")
    return cluster_id
