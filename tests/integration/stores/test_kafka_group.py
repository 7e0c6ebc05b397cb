"""What a member of a group asks of the brokers while nothing comes, and while records keep coming."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.net.connection import KafkaConnection
from structlog.testing import capture_logs

from neardup.group import GroupMember, PartitionsLostError
from neardup.kafka import Kafka
from neardup.topic_setup import drop_topics, setup_topics
from neardup.topics import Topics
from tests.engines_fixture import EngineSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def kafka(engine_settings: EngineSettings) -> Iterator[tuple[Kafka, Topics]]:
    settings = engine_settings("groupmember").kafka.model_copy(update={"partitions": 2})
    assert settings.bootstrap_servers is not None
    kafka, topics = Kafka(settings, settings.bootstrap_servers), Topics("groupmember")
    drop_topics(kafka, topics, settings)
    setup_topics(kafka, topics, settings)
    yield kafka, topics
    drop_topics(kafka, topics, settings)


@pytest.fixture
def make(kafka: tuple[Kafka, Topics]) -> Iterator[Callable[[int], GroupMember]]:
    members: list[GroupMember] = []
    client, topics = kafka

    def one(linger_ms: int) -> GroupMember:
        member = GroupMember(
            client,
            topics=[topics.images],
            group=topics.group("linger"),
            instance_id=None,
            stop=threading.Event(),
            linger_ms=linger_ms,
        )
        members.append(member)
        return member

    yield one
    for member in members:
        member.close()


@pytest.fixture
def join(make: Callable[[int], GroupMember]) -> Callable[[int], GroupMember]:
    def one(linger_ms: int) -> GroupMember:
        member = make(linger_ms)
        while not member.assigned:
            member.poll(timeout_ms=100, max_records=10)
        return member

    return one


def test_while_nothing_comes_the_brokers_are_hardly_asked(
    join: Callable[[int], GroupMember], monkeypatch: pytest.MonkeyPatch
) -> None:
    member = join(20)
    asked: list[str] = []
    send = KafkaConnection._send_request

    def counted(connection: KafkaConnection, request: object, *args: object, **kwargs: object) -> object:
        asked.append(type(request).__name__)
        return send(connection, request, *args, **kwargs)

    monkeypatch.setattr(KafkaConnection, "_send_request", counted)
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert not member.poll(timeout_ms=100, max_records=10)
    # A linger of 20 ms would make 150.
    assert 1 <= asked.count("FetchRequest") <= 12


def test_records_that_keep_coming_are_read_in_batches(
    join: Callable[[int], GroupMember], kafka: tuple[Kafka, Topics]
) -> None:
    client, topics = kafka
    member = join(500)
    done = threading.Event()

    def produce() -> None:
        producer = client.producer(linger_ms=0)
        for number in range(60):
            producer.send(topics.images, key=b"%d" % number, value=b"x").get(timeout=30)
            time.sleep(0.03)
        producer.close()
        done.set()

    thread = threading.Thread(target=produce)
    thread.start()
    batches: list[int] = []
    while sum(batches) < 60:
        if records := member.poll(timeout_ms=100, max_records=100):
            batches.append(len(records))
    thread.join()
    assert done.is_set()
    assert len(batches) <= 20


def test_a_commit_that_meets_a_rebalance_is_dropped_and_its_records_are_read_again(
    join: Callable[[int], GroupMember], make: Callable[[int], GroupMember], kafka: tuple[Kafka, Topics]
) -> None:
    client, topics = kafka
    producer = client.producer()
    for number in range(40):
        producer.send(topics.images, key=b"x", value=b"%d" % number, partition=number % 2)
    producer.flush()
    producer.close()
    first, busy = join(20), make(20)
    while not busy.assigned:
        first.poll(timeout_ms=100, max_records=100)
        busy.poll(timeout_ms=100, max_records=100)
    read: list[ConsumerRecord] = []
    while len(read) < 20:
        read += first.poll(timeout_ms=100, max_records=100)
    # The third must wait for the busy one, and so must the first once it knows.
    third, revoked = make(20), threading.Event()
    first.on_revoked = lambda _: revoked.set()
    while not revoked.is_set():
        third.poll(timeout_ms=100, max_records=100)
        first.poll(timeout_ms=100, max_records=100)
    with capture_logs() as logs:
        first.commit({TopicPartition(record.topic, record.partition): record.offset + 1 for record in read})
    assert [entry["event"] for entry in logs] == ["offsets not committed, the group is being rebalanced"]
    again: set[bytes] = set()
    deadline = time.monotonic() + 30
    while len(again) < 40 and time.monotonic() < deadline:
        for member in (first, busy, third):
            again |= {record.value for record in member.poll(timeout_ms=100, max_records=100)}
    assert again == {b"%d" % number for number in range(40)}


def test_what_was_joined_between_two_polls_is_kept(make: Callable[[int], GroupMember]) -> None:
    member = make(20)
    deadline = time.monotonic() + 10
    while not member.assigned and time.monotonic() < deadline:
        member.poll(timeout_ms=0, max_records=10)
        time.sleep(0.3)
    assert member.assigned


def test_who_goes_on_after_a_rebalance_commits_what_it_could_not_commit_in_it(
    join: Callable[[int], GroupMember], make: Callable[[int], GroupMember], kafka: tuple[Kafka, Topics]
) -> None:
    client, topics = kafka
    first, others = join(20), [make(20), make(20)]
    while not len(first.consumer.assignment()) == len(others[0].consumer.assignment()) == 1:
        for member in (first, others[0]):
            member.poll(timeout_ms=100, max_records=100)
    (decided,) = first.consumer.assignment()
    producer = client.producer()
    producer.send(topics.images, key=b"x", value=b"decided", partition=decided.partition).get(timeout=30)
    producer.close()
    while not first.poll(timeout_ms=100, max_records=100):
        others[0].poll(timeout_ms=0, max_records=100)
    # As the assigner does, whose ledger knows what is decided.
    first.on_assigned = lambda newly: first.go_on(decided, 1) if decided in newly else None
    # It gives way to the last one while the other, which is not polled, keeps the group from coming together.
    revoked = threading.Event()
    first.on_revoked = lambda _: revoked.set()
    while not revoked.is_set():
        others[1].poll(timeout_ms=100, max_records=100)
        first.poll(timeout_ms=100, max_records=100)
    with capture_logs() as logs:
        first.commit({decided: 1})
    assert [entry["event"] for entry in logs] == ["offsets not committed, the group is being rebalanced"]
    for member in others:
        member.close()
    assert first.consumer.committed(decided) is None
    deadline = time.monotonic() + 30
    while first.consumer.committed(decided) != 1 and time.monotonic() < deadline:
        assert not first.poll(timeout_ms=100, max_records=100)
    assert first.consumer.committed(decided) == 1


def test_nobody_goes_on_with_a_partition_of_others(
    join: Callable[[int], GroupMember], kafka: tuple[Kafka, Topics]
) -> None:
    _, topics = kafka
    with pytest.raises(PartitionsLostError):
        join(20).go_on(TopicPartition(topics.proposals, 0), 1)
