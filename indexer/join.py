"""The stream-stream join: an image is complete when both of its embeddings have arrived. Pure, no I/O, no clock.

The log is the state: `committable` is the oldest unfinished record of a partition, so a worker that dies reads the
waiting sides again. Completeness by frontier is what stream processors call event-time progress (Akidau et al.,
"The Dataflow Model", VLDB 2015).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from neardup.types import Image, ImageId, Vector

__all__ = ["Arrival", "Join", "Side"]


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


@dataclass(slots=True)
class _Lane:
    """One partition of one side: where reading is, and which records are not finished."""

    next_offset: int | None = None
    frontier_ms: int = 0
    unfinished: dict[int, Arrival] = field(default_factory=dict)


class Join:
    """Waiting sides of the partitions this worker holds. Both sides of a partition belong to the same worker."""

    def __init__(self, *, grace_ms: int) -> None:
        self._grace_ms = grace_ms
        self._waiting: dict[tuple[ImageId, int], Arrival] = {}
        self._parked: dict[tuple[ImageId, int], Arrival] = {}
        self._lanes: dict[tuple[Side, int], _Lane] = {}

    @property
    def waiting(self) -> int:
        """How many embeddings wait for their partner."""
        return len(self._waiting)

    @property
    def parked(self) -> int:
        """How many images stayed incomplete beyond the grace."""
        return len(self._parked)

    def waiting_of(self, side: Side) -> int:
        """How many embeddings of one side wait."""
        return sum(len(lane.unfinished) for (lane_side, _), lane in self._lanes.items() if lane_side is side)

    def park(self, arrival: Arrival) -> None:
        """Remember an expired side, from the topic of incomplete images, for a late partner."""
        self._parked[arrival.key] = arrival

    def drop(self, gone: Callable[[ImageId], bool]) -> list[Arrival]:
        """Forget the sides of images that are `gone`; returns those that were parked."""
        for arrival in [arrival for arrival in self._waiting.values() if gone(arrival.image_id)]:
            self._finish(arrival)
        parked = [arrival for arrival in self._parked.values() if gone(arrival.image_id)]
        for arrival in parked:
            del self._parked[arrival.key]
        return parked

    def unpark(self, image_id: ImageId, version: int) -> None:
        """Forget an expired side: it was completed."""
        self._parked.pop((image_id, version), None)

    def add(self, arrival: Arrival) -> tuple[Image, Arrival | None] | None:
        """Take one embedding, in order of offset within its partition.

        Returns the image if that completes it, with the arrival of it that was parked, if one was. A second embedding
        of the same side, id and version replaces the first.
        """
        lane = self._lane(arrival.side, arrival.partition)
        lane.next_offset = arrival.offset + 1
        lane.frontier_ms = max(lane.frontier_ms, arrival.at_ms)
        other = self._waiting.get(arrival.key)
        if other is not None and other.side is arrival.side.partner:
            self._finish(other)
            # An earlier copy of the partner may have been parked before this one came.
            return _image(arrival, other), self._parked.pop(arrival.key, None)
        parked = self._parked.get(arrival.key)
        if parked is not None and parked.side is arrival.side.partner:
            del self._parked[arrival.key]
            return _image(arrival, parked), parked
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

    def expire(self, arrival: Arrival, *, park: bool) -> None:
        """Stop waiting for the partner of this side; park it unless its image is decided already."""
        self._finish(arrival)
        if park:
            self._parked[arrival.key] = arrival

    def committable(self, side: Side, partition: int) -> int | None:
        """The offset a restarted worker must read from; None when nothing was read of this partition."""
        lane = self._lanes.get((side, partition))
        if lane is None:
            return None
        return next(iter(lane.unfinished), lane.next_offset)

    def forget(self, partition: int) -> None:
        """This worker no longer holds the partition."""
        for side in Side:
            lane = self._lanes.pop((side, partition), _Lane())
            for arrival in lane.unfinished.values():
                self._waiting.pop(arrival.key, None)
        self._parked = {key: arrival for key, arrival in self._parked.items() if arrival.partition != partition}

    def _lane(self, side: Side, partition: int) -> _Lane:
        return self._lanes.setdefault((side, partition), _Lane())

    def _finish(self, arrival: Arrival) -> None:
        del self._waiting[arrival.key]
        del self._lane(arrival.side, arrival.partition).unfinished[arrival.offset]


def _image(one: Arrival, other: Arrival) -> Image:
    lsh, score = (one, other) if one.side is Side.LSH else (other, one)
    return Image(
        image_id=one.image_id,
        version=one.version,
        lsh=lsh.embedding,
        score=score.embedding,
        metadata=score.metadata | lsh.metadata,
    )
