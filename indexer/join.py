"""The stream-stream join: an image is complete when both of its embeddings have arrived. Pure, no I/O, no clock.

The log is the state: `committable` is the oldest unfinished record of a partition, so a worker that dies reads the
waiting sides again. Completeness by frontier is what stream processors call event-time progress (Akidau et al.,
"The Dataflow Model", VLDB 2015).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import merge
from itertools import islice

from neardup.types import Image, ImageId, Vector

__all__ = ["Arrival", "Join", "Pair", "Parked", "Side", "image_of"]


class Side(StrEnum):
    """Which of the two embeddings."""

    LSH = "lsh"
    SCORE = "score"

    @property
    def partner(self) -> "Side":
        """The other side."""
        return Side.SCORE if self is Side.LSH else Side.LSH


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """One embedding as it was read: `offset` of `partition` of its side's topic, written at `at_ms`.

    `raw` are the bytes of the message, kept so that an image that stays incomplete loses nothing.
    """

    side: Side
    image_id: ImageId
    version: int
    embedding: Vector
    metadata: dict[str, str]
    partition: int
    offset: int
    at_ms: int
    raw: bytes

    @property
    def key(self) -> tuple[ImageId, int]:
        """What partners have in common."""
        return self.image_id, self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """An embedding that stayed alone: where its bytes are kept, `offset` of `partition` of the topic of incomplete
    images. Small, for many may stay alone for ever."""

    side: Side
    image_id: ImageId
    version: int
    partition: int
    offset: int

    @property
    def key(self) -> tuple[ImageId, int]:
        """What partners have in common."""
        return self.image_id, self.version


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two sides that have met: `arrival` came last, `partner` waited or was parked. `parked`: what is to be removed
    from the topic of incomplete images once the image is written."""

    arrival: Arrival
    partner: Arrival | Parked
    parked: Parked | None


@dataclass(slots=True)
class _Lane:
    """One partition of one side: where reading is, and which records are not finished."""

    next_offset: int | None = None
    frontier_ms: int = 0
    unfinished: dict[int, Arrival] = field(default_factory=dict)


class Join:
    """Waiting sides of the partitions this worker holds. Both sides of a partition belong to the same worker.

    At most `limit` embeddings wait, half of them of each side, if a side that is `crowded` is not read on and the
    `surplus` is parked. At most `parked_limit` parked ones are remembered.
    """

    def __init__(self, *, grace_ms: int, limit: int = 100_000, parked_limit: int = 200_000) -> None:
        self._grace_ms = grace_ms
        self._half = max(1, limit // 2)
        self._parked_limit = parked_limit
        self._waiting: dict[tuple[ImageId, int], Arrival] = {}
        self._parked: dict[tuple[ImageId, int], Parked] = {}
        self._lanes: dict[tuple[Side, int], _Lane] = {}

    @property
    def waiting(self) -> int:
        """How many embeddings wait for their partner."""
        return len(self._waiting)

    @property
    def parked(self) -> int:
        """How many images that stayed incomplete a late partner can complete."""
        return len(self._parked)

    def waiting_of(self, side: Side) -> int:
        """How many embeddings of one side wait."""
        return sum(len(lane.unfinished) for (lane_side, _), lane in self._lanes.items() if lane_side is side)

    def crowded(self) -> frozenset[Side]:
        """The sides that have their half of the memory: they must not be read on."""
        return frozenset(side for side in Side if self.waiting_of(side) >= self._half)

    def surplus(self) -> list[Arrival]:
        """What must stop waiting before its grace is over, for both sides are crowded and neither could go on: the
        oldest ones of the side whose oldest is older, until it has nine tenths of its half. Nothing is lost by that: a
        late partner completes them."""
        if len(self.crowded()) < len(Side):
            return []
        sides = {side: self._oldest(side) for side in Side}
        return min(sides.values(), key=lambda oldest: oldest[0].at_ms)

    def _oldest(self, side: Side) -> list[Arrival]:
        lanes = (lane.unfinished.values() for (lane_side, _), lane in self._lanes.items() if lane_side is side)
        ordered = merge(*lanes, key=lambda arrival: arrival.at_ms)
        return list(islice(ordered, self.waiting_of(side) - self._half + -(-self._half // 10)))

    def park(self, parked: Parked) -> Parked | None:
        """Remember an expired side, kept in the topic of incomplete images, for a late partner. Returns the oldest one
        when there are too many: it is no longer remembered."""
        self._parked.pop(parked.key, None)
        self._parked[parked.key] = parked
        if len(self._parked) <= self._parked_limit:
            return None
        return self._parked.pop(next(iter(self._parked)))

    def drop(self, gone: Callable[[ImageId], bool]) -> list[Parked]:
        """Forget the sides of images that are `gone`; returns those that were parked."""
        for arrival in [arrival for arrival in self._waiting.values() if gone(arrival.image_id)]:
            self._finish(arrival)
        parked = [one for one in self._parked.values() if gone(one.image_id)]
        for one in parked:
            del self._parked[one.key]
        return parked

    def unpark(self, image_id: ImageId, version: int) -> None:
        """Forget an expired side: it was completed."""
        self._parked.pop((image_id, version), None)

    def add(self, arrival: Arrival) -> Pair | None:
        """Take one embedding, in order of offset within its partition.

        Returns the pair if its partner is here or parked. A second embedding of the same side, id and version replaces
        the first.
        """
        lane = self._lane(arrival.side, arrival.partition)
        lane.next_offset = arrival.offset + 1
        lane.frontier_ms = max(lane.frontier_ms, arrival.at_ms)
        other = self._waiting.get(arrival.key)
        if other is not None and other.side is arrival.side.partner:
            self._finish(other)
            # An earlier copy of the partner may have been parked before this one came.
            return Pair(arrival=arrival, partner=other, parked=self._parked.pop(arrival.key, None))
        parked = self._parked.get(arrival.key)
        if parked is not None and parked.side is arrival.side.partner:
            del self._parked[arrival.key]
            return Pair(arrival=arrival, partner=parked, parked=parked)
        if other is not None:
            self._finish(other)
        self._waiting[arrival.key] = arrival
        lane.unfinished[arrival.offset] = arrival
        return None

    def skip(self, side: Side, partition: int, offset: int, at_ms: int) -> None:
        """A record that was read and is finished without joining (a dead letter)."""
        lane = self._lane(side, partition)
        lane.next_offset = offset + 1
        lane.frontier_ms = max(lane.frontier_ms, at_ms)

    def advance(self, side: Side, partition: int, now_ms: int) -> None:
        """The partition has been read to its end at `now_ms`: nothing older can come."""
        lane = self._lane(side, partition)
        lane.frontier_ms = max(lane.frontier_ms, now_ms)

    def expired(self) -> list[Arrival]:
        """The sides whose partner's partition has been read past their arrival + grace. They go on waiting until
        `expire` is called: ask first whether they are decided, and keep their bytes."""
        late = []
        for (side, partition), lane in self._lanes.items():
            partner = self._lanes.get((side.partner, partition))
            if partner is None:
                continue
            for arrival in lane.unfinished.values():
                if partner.frontier_ms <= arrival.at_ms + self._grace_ms:
                    break  # in order of arrival: the following ones are younger
                late.append(arrival)
        return late

    def waiting_before(self, side: Side, partition: int, offset: int) -> list[Arrival]:
        """The sides that wait and were written before `offset` of their partition."""
        lane = self._lanes.get((side, partition), _Lane())
        return [arrival for at, arrival in lane.unfinished.items() if at < offset]

    def expire(self, arrival: Arrival) -> None:
        """Stop waiting for the partner of this side. Unless its image is decided, keep its bytes and `park` it before
        anything else is added."""
        self._finish(arrival)

    def committable(self, side: Side, partition: int, *, passed: int = 0) -> int | None:
        """The offset a restarted worker must read from; None when nothing was read of this partition. `passed`: up to
        where there was nothing more to read, when that is beyond the last record."""
        lane = self._lanes.get((side, partition))
        if lane is None:
            return None
        if lane.unfinished or lane.next_offset is None:
            return next(iter(lane.unfinished), None)
        return max(lane.next_offset, passed)

    def forget(self, partition: int) -> None:
        """This worker no longer holds the partition."""
        for side in Side:
            lane = self._lanes.pop((side, partition), _Lane())
            for arrival in lane.unfinished.values():
                self._waiting.pop(arrival.key, None)
        self._parked = {key: parked for key, parked in self._parked.items() if parked.partition != partition}

    def _lane(self, side: Side, partition: int) -> _Lane:
        return self._lanes.setdefault((side, partition), _Lane())

    def _finish(self, arrival: Arrival) -> None:
        del self._waiting[arrival.key]
        del self._lane(arrival.side, arrival.partition).unfinished[arrival.offset]


def image_of(one: Arrival, other: Arrival) -> Image:
    """The image that two sides make."""
    lsh, score = (one, other) if one.side is Side.LSH else (other, one)
    return Image(
        image_id=one.image_id,
        version=one.version,
        lsh=lsh.embedding,
        score=score.embedding,
        metadata=score.metadata | lsh.metadata,
    )
