"""The ports Ledger and LedgerWriter, in memory and on Kafka."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from graph.kafka_log import KafkaLedger, KafkaLedgerWriter
from neardup.entries import Entry
from neardup.errors import FencedError, LogUnavailableError
from neardup.kafka import Kafka
from neardup.logs import PartitionReader
from neardup.ports import Ledger, LedgerWriter, StandingLog
from neardup.records import RequeueRecord
from neardup.standing import (
    ErasedDigest,
    EraseKey,
    ForcedImage,
    PairVerdict,
    QuarantinedCluster,
    StandingChange,
    StandingWord,
    key_of,
)
from neardup.standing_log import KafkaStandingLog
from neardup.testing import InMemoryLedger, InMemoryStandingLog, make_decision
from neardup.topic_setup import drop_topics, setup_topics
from neardup.topics import Topics
from neardup.types import ClusterId, ImageId, Match, Position, Requeue, Source
from tests.contracts.samples import ENTRIES, make_proposal
from tests.engines_fixture import EngineSettings

DECISIONS = [make_decision(seq, f"image {seq}", f"image {seq}", proposal_offset=10 * seq) for seq in range(1, 13)]
QUARANTINED = StandingChange(
    key=key_of(QuarantinedCluster(cluster_id=ClusterId("c"))), word=QuarantinedCluster(cluster_id=ClusterId("c"))
)


@dataclass(frozen=True)
class Logs:
    ledger: Ledger
    writer: Callable[[], LedgerWriter]
    requeued: Callable[[], list[tuple[str, Source, int | None]]]
    standing: StandingLog
    erased: Callable[[], set[ImageId]]

    def settle(self) -> None:
        """Kafka shows a committed transaction some milliseconds after the commit; a new writer, whom every assigner
        begins with, has waited for that."""
        self.writer()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def logs(request: pytest.FixtureRequest) -> Iterator[Logs]:
    if request.param == "memory":
        ledger = InMemoryLedger()
        yield Logs(
            ledger=ledger,
            writer=ledger.writer,
            requeued=lambda: [
                (one.proposal.image_id, one.proposal.source, one.candidate_limit) for one in ledger.requeued
            ],
            standing=InMemoryStandingLog(ledger),
            erased=lambda: set(ledger.erased),
        )
        return
    engine_settings: EngineSettings = request.getfixturevalue("engine_settings")
    settings = engine_settings("contractledger").kafka.model_copy(update={"partitions": 2})
    assert settings.bootstrap_servers is not None
    kafka, topics = Kafka(settings, settings.bootstrap_servers), Topics("contractledger")
    drop_topics(kafka, topics, settings)
    setup_topics(kafka, topics, settings)
    real = KafkaLedger(kafka, topics)
    writers: list[KafkaLedgerWriter] = []

    def writer() -> KafkaLedgerWriter:
        writers.append(KafkaLedgerWriter(kafka, topics))
        return writers[-1]

    standing = KafkaStandingLog(kafka, topics)
    yield Logs(
        ledger=real,
        writer=writer,
        requeued=lambda: requeued_on_kafka(kafka, topics, partitions=settings.partitions),
        standing=standing,
        erased=lambda: erased_on_kafka(kafka, topics, partitions=settings.partitions),
    )
    real.close()
    standing.close()
    for opened in writers:
        opened.close()
    drop_topics(kafka, topics, settings)


def requeued_on_kafka(kafka: Kafka, topics: Topics, *, partitions: int) -> list[tuple[str, Source, int | None]]:
    found = []
    for number in range(partitions):
        reader = PartitionReader(kafka, topics.requeue, number)
        for record in reader.tail(100):
            reference = RequeueRecord.decode(record.value)
            source = Source(topic=reference.topic, partition=reference.partition, offset=reference.offset)
            found.append((reference.image_id, source, reference.candidate_limit))
        reader.close()
    return found


def erased_on_kafka(kafka: Kafka, topics: Topics, *, partitions: int) -> set[ImageId]:
    """The images that have a tombstone in every partition of the topic of images."""
    found: list[set[ImageId]] = []
    for number in range(partitions):
        reader = PartitionReader(kafka, topics.images, number)
        found.append({ImageId(record.key.decode()) for record in reader.tail(100) if record.value is None})
        reader.close()
    return set.intersection(*found)


def read_all(ledger: Ledger, *, limit: int) -> list[tuple[Position, Entry]]:
    entries: list[tuple[Position, Entry]] = []
    position = Position()
    while some := ledger.read(after=position, limit=limit):
        assert len(some) <= limit
        entries += some
        position = some[-1][0]
    return entries


def test_empty(logs: Logs) -> None:
    assert logs.ledger.read(after=Position()) == []
    assert logs.ledger.tail(5) == []
    logs.writer().append([])
    assert logs.ledger.read(after=Position()) == []


def test_decisions_come_back_as_they_were(logs: Logs) -> None:
    decision = make_decision(
        1,
        'Bild ü/\u2028 "1"',
        "head",
        previous_cluster=ClusterId("other"),
        matches=(Match(image_id=DECISIONS[0].image_id, overlap=7, score=0.1 + 0.2),),
        bridges=(ClusterId("b"), ClusterId("a")),
        head_score=1 / 3,
        indexed=False,
        version=2**53 - 1,
    )
    logs.writer().append([decision])
    logs.settle()
    ((position, found),) = logs.ledger.read(after=Position())
    assert found == decision
    assert (position.seq, position.proposal_offset) == (1, decision.proposal_offset)


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_read_in_order_from_any_position(logs: Logs, limit: int) -> None:
    """The writer's transactions leave marks in the log that are no decisions; nobody sees them."""
    writer = logs.writer()
    for start, stop in ((0, 1), (1, 2), (2, 7), (7, 12)):
        writer.append(DECISIONS[start:stop])
    logs.settle()
    entries = read_all(logs.ledger, limit=limit)
    assert [decision for _, decision in entries] == DECISIONS
    assert [position.seq for position, _ in entries] == [decision.seq for decision in DECISIONS]
    assert [position.proposal_offset for position, _ in entries] == [decision.proposal_offset for decision in DECISIONS]
    for number in (0, 1, 6, 11):
        after = logs.ledger.read(after=entries[number][0], limit=limit)
        assert [decision for _, decision in after] == DECISIONS[number + 1 : number + 1 + limit]


def test_a_reader_at_the_end_sees_what_comes(logs: Logs) -> None:
    logs.writer().append(DECISIONS[:2])
    logs.settle()
    position = read_all(logs.ledger, limit=10)[-1][0]
    assert logs.ledger.read(after=position) == []
    assert logs.ledger.read(after=position) == []
    logs.writer().append(DECISIONS[2:4])
    logs.settle()
    assert [decision for _, decision in logs.ledger.read(after=position)] == DECISIONS[2:4]


@pytest.mark.parametrize("count", [1, 5, 12, 100])
def test_the_tail_has_at_least_as_many_as_asked(logs: Logs, count: int) -> None:
    writer = logs.writer()
    for decision in DECISIONS:
        writer.append([decision])
    logs.settle()
    tail = logs.ledger.tail(count)
    assert len(tail) >= min(count, len(DECISIONS))
    assert [decision for _, decision in tail] == DECISIONS[-len(tail) :]
    assert tail == read_all(logs.ledger, limit=1000)[-len(tail) :]


def test_a_new_writer_fences_the_old_for_good(logs: Logs) -> None:
    old = logs.writer()
    old.append(DECISIONS[:1])
    new = logs.writer()
    with pytest.raises(FencedError):
        old.append([make_decision(2, "zombie", "zombie")])
    new.append(DECISIONS[1:3])
    logs.settle()
    assert [decision for _, decision in read_all(logs.ledger, limit=1000)] == DECISIONS[:3]


def test_a_fenced_writer_hands_nothing_back(logs: Logs) -> None:
    old = logs.writer()
    logs.writer().append(DECISIONS[:1])
    with pytest.raises(FencedError):
        old.append([], requeue=[Requeue(proposal=make_proposal("a"))], standing=[QUARANTINED], erased=[ImageId("a")])
    assert logs.requeued() == []
    assert logs.standing.changes() == []
    assert logs.erased() == set()


def test_proposals_are_handed_back_with_the_place_of_their_image(logs: Logs) -> None:
    one = make_proposal("a", source=Source(topic="t.images", partition=3, offset=41))
    other = make_proposal("b", source=Source(topic="t.images", partition=0, offset=2**40))
    writer = logs.writer()
    writer.append(DECISIONS[:1], requeue=[Requeue(proposal=one)])
    writer.append([], requeue=[Requeue(proposal=other, candidate_limit=2000)])
    writer.append(DECISIONS[1:2])
    logs.settle()
    assert sorted(logs.requeued()) == [("a", one.source, None), ("b", other.source, 2000)]
    assert [decision for _, decision in read_all(logs.ledger, limit=1000)] == DECISIONS[:2]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.kind)
def test_entries_of_every_kind_come_back_as_they_were(logs: Logs, entry: Entry) -> None:
    logs.writer().append([entry])
    logs.settle()
    assert [found for _, found in logs.ledger.read(after=Position())] == [entry]


def test_standing_words_are_written_with_the_entries(logs: Logs) -> None:
    assert logs.standing.changes() == []
    words: list[StandingWord] = [
        PairVerdict(link="must-link", a=ImageId("a"), b=ImageId("ü")),
        ForcedImage(image_id=ImageId("a")),
        ErasedDigest(digest="00ff"),
        EraseKey(key="ff00"),
    ]
    changes = [StandingChange(key=key_of(word), word=word) for word in words]
    logs.writer().append(DECISIONS[:1], standing=[QUARANTINED, *changes])
    logs.writer().append([], standing=[StandingChange(key=QUARANTINED.key, word=None)])
    logs.settle()
    assert logs.standing.changes() == [QUARANTINED, *changes, StandingChange(key=QUARANTINED.key, word=None)]
    assert logs.standing.changes() == []


def test_erased_images_are_removed_wherever_they_may_be(logs: Logs) -> None:
    logs.writer().append(DECISIONS[:1], erased=[ImageId("ü"), ImageId("b")])
    logs.settle()
    assert logs.erased() == {"ü", "b"}


@pytest.mark.integration
def test_another_ledger_under_the_same_name_is_noticed(engine_settings: EngineSettings) -> None:
    """A position of a ledger that was deleted and begun anew: reading on would skip decisions."""
    settings = engine_settings("contractledger2").kafka
    assert settings.bootstrap_servers is not None
    kafka, topics = Kafka(settings, settings.bootstrap_servers), Topics("contractledger2")
    setup_topics(kafka, topics, settings)
    ledger, writer = KafkaLedger(kafka, topics), KafkaLedgerWriter(kafka, topics)
    try:
        writer.append(DECISIONS)
        KafkaLedgerWriter(kafka, topics).close()  # see Logs.settle
        with pytest.raises(LogUnavailableError, match="seq 6 after 9"):
            ledger.read(after=Position(seq=9, ledger_offset=4, proposal_offset=40))
    finally:
        ledger.close()
        writer.close()
        drop_topics(kafka, topics, settings)
