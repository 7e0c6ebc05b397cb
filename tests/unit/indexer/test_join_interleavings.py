"""The join under every interleaving of both sides, deletions, restarts, lost partitions, expiry and late partners.

The machine is the worker around the join, reduced to what lives where: topics, written messages and committed offsets
survive a crash; everything else is in the join. What was written is decided at some later time, in order.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from indexer.join import Arrival, Join, Parked, Side, image_of
from neardup.types import Image, ImageId

GRACE = 10
PARTITIONS = {"a": 0, "b": 0, "c": 1}
LANES = [(side, partition) for side in Side for partition in (0, 1)]
Lane = tuple[Side, int]
Key = tuple[ImageId, int]

SIDES = st.sampled_from(list(Side))
NAMES = st.sampled_from(sorted(PARTITIONS))
VERSIONS = st.integers(1, 2)


@dataclass(frozen=True)
class Record:
    """An embedding of `key`, or the deletion of an image, or, with neither, a dead letter."""

    key: Key | None
    serial: int
    at_ms: int
    deletes: ImageId | None = None


class JoinMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.serial = 0
        # What survives a crash.
        self.topics: dict[Lane, list[Record]] = {lane: [] for lane in LANES}
        self.committed: dict[Lane, int] = {}
        self.incomplete: list[tuple[Parked, Arrival] | Key] = []
        self.written: dict[Key, list[Image]] = {}
        self.decided: dict[ImageId, int] = {}
        self.commands: list[ImageId] = []
        self.erased: set[ImageId] = set()
        # What does not.
        self.join = Join(grace_ms=GRACE)
        self.next: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self.read: set[Lane] = set()
        self.frontier: dict[Lane, int] = {}
        self.unfinished: dict[Lane, dict[int, Record]] = {lane: {} for lane in LANES}
        self.unwritten: list[tuple[Image | None, Parked | None, Arrival | None]] = []
        self.unsent: list[ImageId] = []
        self.seen_erased: set[ImageId] = set()
        self.remembers_anew = False
        self.ends_at_assignment: dict[Lane, int] = dict.fromkeys(LANES, 0)

    # The world.

    @rule(side=SIDES, name=NAMES, version=VERSIONS, valid=st.integers(0, 9).map(bool))
    def produce(self, side: Side, name: str, version: int, valid: bool) -> None:
        self.serial += 1
        key = (ImageId(name), version) if valid else None
        self.topics[side, PARTITIONS[name]].append(Record(key, self.serial, self.now))

    @rule(name=NAMES, version=VERSIONS)
    def produce_both(self, name: str, version: int) -> None:
        for side in Side:
            self.produce(side, name, version, valid=True)

    @rule(side=SIDES, name=NAMES)
    def delete(self, side: Side, name: str) -> None:
        self.serial += 1
        self.topics[side, PARTITIONS[name]].append(Record(None, self.serial, self.now, ImageId(name)))

    @rule(milliseconds=st.integers(1, 2 * GRACE))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    # The worker.

    @precondition(lambda self: all(alone is None for _, _, alone in self.unwritten))
    @rule(lane=st.sampled_from(LANES), count=st.integers(1, 5))
    def poll(self, lane: Lane, count: int) -> None:
        side, partition = lane
        deleted: set[ImageId] = set()
        for offset in range(self.next[lane], min(self.next[lane] + count, len(self.topics[lane]))):
            record = self.topics[lane][offset]
            self.next[lane] = offset + 1
            self.read.add(lane)
            self.frontier[lane] = max(self.frontier.get(lane, 0), record.at_ms)
            if record.deletes is not None:
                deleted.add(record.deletes)
                self.unsent.append(record.deletes)
            if record.key is None or record.key[0] in deleted | self.seen_erased:
                self.join.skip(side, partition, offset, record.at_ms)
                continue
            arrival = self.arrival(lane, offset)
            waiting = self.waiting(lane, record.key)
            partner = self.waiting((side.partner, partition), record.key)
            pair = self.join.add(arrival)
            if pair is None:
                assert partner is None, "both sides are here"
                if waiting is not None:
                    del self.unfinished[lane][waiting]
                self.unfinished[lane][offset] = record
                continue
            if isinstance(pair.partner, Arrival):
                assert partner is not None
                del self.unfinished[side.partner, partition][partner]
                other = pair.partner
            else:
                assert pair.partner is pair.parked
                assert pair.partner.side is side.partner
                other = self.bytes_of(pair.partner)
            image = image_of(pair.arrival, other)
            self.check(image)
            self.unwritten.append((image, pair.parked, None))
        self.drop(deleted)

    @precondition(lambda self: all(alone is None for _, _, alone in self.unwritten))
    @rule()
    def look_for_erased(self) -> None:
        """What a predecessor, another worker or a person erased. Without news, everything was looked at before."""
        if self.seen_erased != self.erased or self.remembers_anew:
            self.remembers_anew = False
            self.seen_erased = set(self.erased)
            self.drop(self.seen_erased)

    def drop(self, gone: set[ImageId]) -> None:
        for lane, records in self.unfinished.items():
            self.unfinished[lane] = {
                offset: record for offset, record in records.items() if record.key and record.key[0] not in gone
            }
        for parked in self.join.drop(gone.__contains__):
            assert parked.image_id in gone
            self.unwritten.append((None, parked, None))

    @rule(lane=st.sampled_from(LANES))
    def caught_up(self, lane: Lane) -> None:
        if self.next[lane] == len(self.topics[lane]):
            self.join.advance(*lane, self.now)
            self.frontier[lane] = max(self.frontier.get(lane, 0), self.now)

    @rule()
    def expire(self) -> None:
        for arrival in self.join.expired():
            assert self.frontier[arrival.side.partner, arrival.partition] > arrival.at_ms + GRACE
            self.give_up(arrival)

    @precondition(lambda self: any(self.unfinished.values()))
    @rule(data=st.data())
    def give_room(self, data: st.DataObject) -> None:
        """One that waits is parked before its grace is over, as when both sides are crowded."""
        lanes = [lane for lane in LANES if self.unfinished[lane]]
        lane = data.draw(st.sampled_from(lanes))
        self.give_up(self.arrival(lane, data.draw(st.sampled_from(sorted(self.unfinished[lane])))))

    def give_up(self, arrival: Arrival) -> None:
        self.join.expire(arrival)
        del self.unfinished[arrival.side, arrival.partition][arrival.offset]
        if not self.is_decided(arrival.key):
            self.unwritten.append((None, None, arrival))

    @rule()
    def drop_decided(self) -> None:
        """Sides that were read again although a predecessor had joined them."""
        for lane in LANES:
            for arrival in self.join.waiting_before(*lane, self.ends_at_assignment[lane]):
                if self.is_decided(arrival.key):
                    self.join.expire(arrival)
                    del self.unfinished[lane][arrival.offset]

    @rule()
    def decide(self) -> None:
        """The rest of the path comes to what was written so far. What was erased is gone, and stays gone."""
        self.erased.update(self.commands)
        for image_id, version in self.written:
            self.decided[image_id] = max(version, self.decided.get(image_id, 0))
        self.decided = {image_id: version for image_id, version in self.decided.items() if image_id not in self.erased}

    @rule()
    def write(self) -> None:
        self.write_images()
        for _, completed, _ in self.unwritten:
            if completed is not None:
                self.incomplete.append(completed.key)
        self.unwritten = []

    def write_images(self) -> None:
        """What has contents goes first, before what takes a parked side away."""
        self.commands += self.unsent
        self.unsent = []
        for image, _, alone in self.unwritten:
            if image is not None:
                self.written.setdefault((image.image_id, image.version), []).append(image)
            if alone is not None:
                parked = Parked(
                    side=alone.side,
                    image_id=alone.image_id,
                    version=alone.version,
                    partition=alone.partition,
                    offset=len(self.incomplete),
                )
                self.incomplete.append((parked, alone))
                self.join.park(parked)

    @precondition(lambda self: not self.unwritten and not self.unsent)
    @rule()
    def commit(self) -> None:
        for lane in LANES:
            offset = self.join.committable(*lane)
            if offset is not None:
                self.committed[lane] = offset

    @rule()
    def a_quiet_time(self) -> None:
        """Everything is read, and the grace of what still waits is over."""
        self.write()
        for lane in LANES:
            self.poll(lane, len(self.topics[lane]))
        self.now += 2 * GRACE
        for lane in LANES:
            self.caught_up(lane)
        self.expire()
        self.write()
        self.commit()

    @rule()
    def crash_between_writes(self) -> None:
        """Images are durable, what takes parked sides away is not."""
        self.write_images()
        self.crash()

    @rule()
    def crash(self) -> None:
        self.join = Join(grace_ms=GRACE)
        self.unwritten = []
        self.unsent = []
        self.seen_erased = set()
        for partition in (0, 1):
            self.assign(partition)

    @precondition(lambda self: not self.unwritten and not self.unsent)
    @rule(partition=st.integers(0, 1))
    def lose_and_get_back(self, partition: int) -> None:
        self.join.forget(partition)
        self.assign(partition)

    def assign(self, partition: int) -> None:
        for side in Side:
            lane = side, partition
            self.ends_at_assignment[lane] = len(self.topics[lane])
            self.next[lane] = self.committed.get(lane, 0)
            self.read.discard(lane)
            self.frontier.pop(lane, None)
            self.unfinished[lane] = {}
        self.remembers_anew = True
        for parked in self.kept().values():
            if parked.partition == partition:
                self.join.park(parked)

    # What must hold.

    @invariant()
    def committable_is_the_oldest_unfinished_record(self) -> None:
        for lane in LANES:
            expected = None if lane not in self.read else min(self.unfinished[lane], default=self.next[lane])
            assert self.join.committable(*lane) == expected

    @invariant()
    def waiting_is_counted_right(self) -> None:
        for side in Side:
            assert self.join.waiting_of(side) == sum(len(self.unfinished[side, partition]) for partition in (0, 1))
        assert self.join.waiting == sum(map(len, self.unfinished.values()))

    @invariant()
    def exactly_the_late_ones_expire(self) -> None:
        expected = {
            (*lane, offset)
            for lane in LANES
            for offset, record in self.unfinished[lane].items()
            if self.frontier.get((lane[0].partner, lane[1]), -1) > record.at_ms + GRACE
        }
        assert {(late.side, late.partition, late.offset) for late in self.join.expired()} == expected

    def teardown(self) -> None:
        """Everything is read to the end, and the grace is over: then no image whose two sides came is missing, the
        bytes of every other side are kept, and nothing waits. Of what was deleted, nothing is there."""
        self.write()
        for lane in LANES:
            self.poll(lane, len(self.topics[lane]))
        self.write()
        self.decide()
        self.look_for_erased()
        self.a_quiet_time()
        assert self.join.waiting == 0
        deleted = {record.deletes for records in self.topics.values() for record in records} - {None}
        assert self.erased == deleted
        assert not any(image_id in deleted for image_id in self.decided)
        assert all(self.committed[lane] == len(self.topics[lane]) for lane in self.read)
        sides: dict[Key, set[Side]] = {}
        for (side, _), records in self.topics.items():
            for record in records:
                if record.key is not None:
                    sides.setdefault(record.key, set()).add(side)
        kept = self.kept()
        assert not any(image_id in deleted for image_id, _ in kept)
        for (image_id, version), came in sides.items():
            if image_id not in deleted and not self.is_decided((image_id, version)):
                assert len(came) == 1, f"{image_id} in version {version} was lost"
                assert {kept[image_id, version].side} == came

    def waiting(self, lane: Lane, key: Key) -> int | None:
        return next((offset for offset, record in self.unfinished[lane].items() if record.key == key), None)

    def kept(self) -> dict[Key, Parked]:
        """The topic of incomplete images, read from its start."""
        kept: dict[Key, Parked] = {}
        for entry in self.incomplete:
            if isinstance(entry[0], Parked):
                kept[entry[0].key] = entry[0]
            else:
                kept.pop(entry, None)
        return kept

    def bytes_of(self, parked: Parked) -> Arrival:
        """What the topic of incomplete images holds at this place; nothing was compacted away yet."""
        found, arrival = self.incomplete[parked.offset]
        assert found == parked
        assert isinstance(arrival, Arrival)
        return arrival

    def is_decided(self, key: Key) -> bool:
        image_id, version = key
        return self.decided.get(image_id, 0) >= version

    def arrival(self, lane: Lane, offset: int) -> Arrival:
        record = self.topics[lane][offset]
        assert record.key is not None
        image_id, version = record.key
        return Arrival(
            side=lane[0],
            image_id=image_id,
            version=version,
            embedding=np.array([record.serial], dtype=np.float32),
            metadata={},
            partition=lane[1],
            offset=offset,
            at_ms=record.at_ms,
            raw=b"",
        )

    def check(self, image: Image) -> None:
        """Each embedding is one that its side's producer sent for this very image and version."""
        partition = PARTITIONS[image.image_id]
        for side, embedding in ((Side.LSH, image.lsh), (Side.SCORE, image.score)):
            (sent,) = (record for record in self.topics[side, partition] if record.serial == int(embedding[0]))
            assert sent.key == (image.image_id, image.version)


TestJoin = JoinMachine.TestCase
TestJoin.settings = settings(max_examples=200, stateful_step_count=40, deadline=None, derandomize=True)
