"""Images to the clusters where they are wanted: who can go, where they meet, and the moves. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from neardup.clusters import ClusterState
from neardup.commands import Move
from neardup.types import ClusterId, ImageId
from neardup.verdicts import Verdicts

__all__ = ["Cell", "Change", "Regrouping"]

Cell = tuple[ClusterId, int]
"""A cluster of some time: its id, and the seq that made it, for an id can come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An image that moves: from its cluster now `to` another one, None for one of its own. A cluster that is no more
    is made anew and may get another id."""

    image_id: ImageId
    seq: int
    cluster_id: ClusterId
    to: ClusterId | None


class Regrouping:
    """`wanted`: image -> the cluster that it shall be in, None for one of its own; all others stay where they are.

    `there`: the clusters that stand for the wanted ones now. `heads`: who shall be head where it goes; an image of
    `named` stays head all the same.

    `hindered` then are the images that a cannot-link keeps, with the reason. The others go; where a cluster is no more
    they meet in one that they have for themselves once all have gone, else in a new one.
    """

    def __init__(
        self,
        now: ClusterState,
        wanted: Mapping[ImageId, Cell | None],
        *,
        there: Mapping[Cell, ClusterId],
        verdicts: Verdicts,
        heads: Mapping[Cell, ImageId],
        named: Collection[ImageId],
    ) -> None:
        self._now = now
        self._there = there
        self._verdicts = verdicts
        self._heads = heads
        self._named = named
        self._movers = dict(wanted)
        self.hindered: dict[ImageId, str] = {}
        found = self._look()
        # Whoever is kept may keep others, and be where they meet.
        while found:
            self.hindered |= found
            for image_id in found:
                del self._movers[image_id]
            found = self._look()

    def changes(self) -> tuple[Change, ...]:
        """Every image that moves."""
        made = []
        for image_id, target in self._movers.items():
            placement = self._now.placement(image_id)
            if placement is not None and self._goes(image_id):
                to = None if target is None else self._homes.get(target) or self._name_of(target)
                change = Change(image_id=image_id, seq=placement.seq, cluster_id=placement.cluster_id, to=to)
                made.append(change)
        return tuple(made)

    def moves(self, largest: int) -> tuple[Move, ...]:
        """What brings it about, in this order, in commands of at most so many images. First those that get a cluster of
        their own: nobody shall enter a cluster that still has somebody whom a verdict keeps apart from it."""
        alone = [image_id for image_id, target in self._movers.items() if target is None and self._goes(image_id)]
        made = [Move(images=self._with_seqs(part), to="each", rule="rolled-back") for part in _parts(alone, largest)]
        for target, images in self._groups.items():
            if target not in self._homes:
                made += self._together(target, images, largest)
        for target in self._order:
            made += self._home_again(target, largest)
        return tuple(made)

    def _name_of(self, target: Cell) -> ClusterId:
        """The id of a cluster that is no more; with its seq where that is the id of another one."""
        cluster_id, made_by = target
        taken = self._now.part(cluster_id) is not None or any(
            one[0] == cluster_id and one != target for one in self._groups
        )
        return ClusterId(f"{cluster_id}#{made_by}") if taken else cluster_id

    def _together(self, target: Cell, images: Sequence[ImageId], largest: int) -> list[Move]:
        """Into a new cluster."""
        head = self._heads.get(target)
        order = sorted(images, key=lambda image_id: (image_id != head, self._now.member_seq(image_id) or 0))
        first, *others = _parts(order, largest)
        made = [Move(images=self._with_seqs(first), to="own", rule="rolled-back")]
        return made + [
            Move(images=self._with_seqs(part), to="cluster", into=first[0], rule="rolled-back") for part in others
        ]

    def _home_again(self, target: Cell, largest: int) -> list[Move]:
        """Into a cluster that is there."""
        home, head = self._homes[target], self._head_again(target)
        away = [image_id for image_id in self._groups[target] if self._goes(image_id)]
        parts = _parts(away, largest)
        if not parts:
            if head is None:
                return []
            parts = [[head]]
        anchor = self._anchor(home, target)
        last = len(parts) - 1
        return [
            Move(
                images=self._with_seqs(part),
                to="cluster",
                into=anchor,
                head=head if number == last else None,
                rule="rolled-back",
            )
            for number, part in enumerate(parts)
        ]

    def _look(self) -> dict[ImageId, str]:
        """Where everybody goes; and whom a verdict keeps from it."""
        self._leaving = Counter(self._cluster_of(image_id) for image_id in self._movers)
        self._groups: dict[Cell, list[ImageId]] = {}
        for image_id, target in self._movers.items():
            if target is not None:
                self._groups.setdefault(target, []).append(image_id)
        self._homes = {target: home for target in self._groups if (home := self._standing_home(target)) is not None}
        self._claim()
        self._left_alone = self._last_ones()
        hindered = self._hindered()
        return hindered or self._put_in_order()

    def _standing_home(self, target: Cell) -> ClusterId | None:
        """What stands for the cluster, as long as somebody stays in it."""
        cluster_id = self._there.get(target)
        info = None if cluster_id is None else self._now.cluster(cluster_id)
        return cluster_id if info is not None and info.size > self._leaving[info.cluster_id] else None

    def _claim(self) -> None:
        """A cluster in which nobody else stays is a home for those of it who are wanted in one."""
        inside: dict[ClusterId, Counter[Cell]] = {}
        for target, images in self._groups.items():
            if target not in self._homes:
                for image_id in images:
                    inside.setdefault(self._cluster_of(image_id), Counter())[target] += 1
        won: dict[Cell, list[tuple[bool, bool, int, ClusterId]]] = {}
        for cluster_id, by in inside.items():
            info = self._now.cluster(cluster_id)
            if info is not None and info.size == self._leaving[cluster_id]:
                target = max(by, key=lambda one: (self._there.get(one) == cluster_id, by[one]))
                is_it = self._there.get(target) == cluster_id
                has_head = target in self._heads and self._cluster_of(self._heads[target]) == cluster_id
                won.setdefault(target, []).append((is_it, has_head, by[target], cluster_id))
        self._homes |= {target: max(clusters)[3] for target, clusters in won.items()}

    def _last_ones(self) -> set[ImageId]:
        """Of those who shall be by themselves one need not go, where all others do; the head if it is among them."""
        last: dict[ClusterId, ImageId] = {}
        for image_id, target in self._movers.items():
            info = self._now.cluster(self._cluster_of(image_id))
            if target is not None or info is None or info.size > self._leaving[info.cluster_id]:
                continue
            if info.cluster_id not in last or info.head == image_id:
                last[info.cluster_id] = image_id
        homes = set(self._homes.values())
        return {image_id for cluster_id, image_id in last.items() if cluster_id not in homes}

    def _hindered(self) -> dict[ImageId, str]:
        found: dict[ImageId, str] = {}
        for image_id in filter(self._goes, self._with_verdicts()):
            end = self._end(image_id)
            for other in self._verdicts.kept_apart_from(image_id):
                if self._end(other) == end and other not in found:
                    found[image_id] = f"a cannot-link keeps it apart from {other!r}"
        return found

    def _put_in_order(self) -> dict[ImageId, str]:
        """Homes in which somebody would meet whom a verdict keeps apart come after those where that one goes. Whoever
        is in the way of another in a circle is kept."""
        waiting = {target: self._in_the_way(target) for target in self._groups if target in self._homes}
        self._order: list[Cell] = []
        while waiting:
            ready = [
                target
                for target, pairs in waiting.items()
                if all(self._movers[other] not in waiting for _, other in pairs)
            ]
            if not ready:
                image_id, other = next(iter(waiting.values()))[0]
                return {image_id: f"a cannot-link keeps it apart from {other!r}, which would have to leave first"}
            self._order += ready
            for target in ready:
                del waiting[target]
        return {}

    def _in_the_way(self, target: Cell) -> list[tuple[ImageId, ImageId]]:
        """Who goes to this home, and whom it may not meet there, who is to leave it for another home."""
        return [
            (image_id, other)
            for image_id in self._with_verdicts()
            if self._movers[image_id] == target and self._goes(image_id)
            for other in self._verdicts.kept_apart_from(image_id)
            if other in self._movers and self._cluster_of(other) == self._homes[target] and self._goes(other)
        ]

    def _with_verdicts(self) -> list[ImageId]:
        # Who must be with another one is never wanted elsewhere: only people move these, and what they moved is kept.
        return sorted(self._movers.keys() & set(self._verdicts.linked("cannot-link")))

    def _end(self, image_id: ImageId) -> tuple[str, ImageId | ClusterId | Cell] | None:
        """Where an image is at last; None for one that is nowhere."""
        cluster_id = self._cluster_of(image_id)
        if not cluster_id:
            return None
        if image_id not in self._movers:
            return "there", cluster_id
        target = self._movers[image_id]
        if target is None:
            return "alone", image_id
        return ("there", self._homes[target]) if target in self._homes else ("new", target)

    def _goes(self, image_id: ImageId) -> bool:
        """Whether an image that is wanted somewhere is not there yet."""
        target = self._movers[image_id]
        if target is None:
            return image_id not in self._left_alone
        return self._homes.get(target) != self._cluster_of(image_id)

    def _head_again(self, target: Cell) -> ImageId | None:
        """The head to set in a home, None when it has the one it should have. What was merged into another cluster has
        the head of that."""
        head = self._heads.get(target)
        if head is None or self._there.get(target, target[0]) != target[0]:
            return None
        info = self._now.cluster(self._homes[target])
        if info is None or info.head == head or info.head in self._named:
            return None
        return head if self._end(head) == ("there", info.cluster_id) else None

    def _anchor(self, home: ClusterId, target: Cell) -> ImageId:
        """An image that is in this cluster and stays there."""
        head = self._heads.get(target)
        members = (member.image_id for member in self._now.members(home).members)
        candidates = members if head is None or self._cluster_of(head) != home else iter([head, *members])
        return next(one for one in candidates if self._end(one) == ("there", home))

    def _with_seqs(self, images: Iterable[ImageId]) -> tuple[tuple[ImageId, int], ...]:
        placements = (self._now.placement(image_id) for image_id in images)
        return tuple((placement.image_id, placement.seq) for placement in placements if placement is not None)

    def _cluster_of(self, image_id: ImageId) -> ClusterId:
        placement = self._now.placement(image_id)
        return ClusterId("") if placement is None else placement.cluster_id


def _parts(images: Sequence[ImageId], largest: int) -> list[Sequence[ImageId]]:
    """In parts that are each one transaction."""
    return [images[start : start + largest] for start in range(0, len(images), largest)]
