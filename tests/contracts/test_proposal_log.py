"""The port ProposalLog, in memory and on Kafka."""

from collections.abc import Iterator
from typing import get_args
from uuid import UUID

import numpy as np
import pytest

from graph.kafka_log import KafkaProposalLog
from neardup.commands import (
    Command,
    CommandBody,
    Erase,
    Force,
    Merge,
    Move,
    Promote,
    Quarantine,
    Request,
    Unforce,
    Unmerge,
    Verdict,
    Withdraw,
)
from neardup.kafka import Kafka
from neardup.ports import ProposalLog
from neardup.settings import KafkaSettings
from neardup.testing import InMemoryProposalLog
from neardup.topic_setup import drop_topics, setup_topics
from neardup.topics import Topics
from neardup.types import ImageId, Proposal, Source
from tests.contracts.samples import make_proposal
from tests.engines_fixture import EngineSettings

NAMESPACE = "contractproposals"


@pytest.fixture
def kafka(engine_settings: EngineSettings) -> Iterator[tuple[Kafka, Topics]]:
    settings: KafkaSettings = engine_settings(NAMESPACE).kafka.model_copy(update={"partitions": 1})
    assert settings.bootstrap_servers is not None
    kafka, topics = Kafka(settings, settings.bootstrap_servers), Topics(NAMESPACE)
    drop_topics(kafka, topics, settings)
    setup_topics(kafka, topics, settings)
    yield kafka, topics
    drop_topics(kafka, topics, settings)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def log(request: pytest.FixtureRequest) -> Iterator[ProposalLog]:
    if request.param == "memory":
        yield InMemoryProposalLog()
        return
    log = KafkaProposalLog(*request.getfixturevalue("kafka"))
    yield log
    log.close()


def names(entries: list[tuple[int, Request]]) -> list[tuple[int, str]]:
    return [(offset, one.image_id if isinstance(one, Proposal) else one.command_id) for offset, one in entries]


def test_empty(log: ProposalLog) -> None:
    assert (log.end(), log.read(offset=0)) == (0, [])
    log.append([])
    assert (log.end(), log.read(offset=0)) == (0, [])


def test_proposals_come_back_as_they_were(log: ProposalLog) -> None:
    sent = make_proposal("Bild ü/1", matches=(), source=Source(topic="t", partition=3, offset=2**40), version=2**53 - 1)
    log.append([sent, make_proposal("b")])
    (_, found), (_, other) = log.read(offset=0)
    for name in Proposal.__slots__:
        if name in {"query", "score"}:
            np.testing.assert_array_equal(getattr(found, name), getattr(sent, name))
            assert getattr(found, name).dtype == getattr(sent, name).dtype
        else:
            assert getattr(found, name) == getattr(sent, name), name
    assert isinstance(other, Proposal)
    assert other.matches == make_proposal("b").matches


def test_commands_are_in_one_order_with_proposals(log: ProposalLog) -> None:
    bodies: list[CommandBody] = [
        Force(image_id=ImageId("ü"), into=ImageId("b")),
        Unforce(image_id=ImageId("a")),
        Verdict(link="cannot-link", a=ImageId("a"), b=ImageId("b")),
        Withdraw(a=ImageId("a"), b=ImageId("b")),
        Merge(source=ImageId("a"), target=ImageId("b")),
        Unmerge(cluster=ImageId("a")),
        Promote(image_id=ImageId("a")),
        Move(images=((ImageId("a"), 7), (ImageId("b"), 8)), to="cluster", into=ImageId("c")),
        Erase(image_id=ImageId("a")),
        Quarantine(cluster=ImageId("a"), on=True),
    ]
    assert {type(body) for body in bodies} == set(get_args(CommandBody))
    commands = [
        Command(command_id=str(UUID(int=number)), actor="somebody", reason="why not", at_ms=number, body=body)
        for number, body in enumerate(bodies)
    ]
    log.append([make_proposal("a"), *commands, make_proposal("b")])
    found = log.read(offset=0)
    assert [offset for offset, _ in found] == list(range(12))
    assert [one for _, one in found[1:-1]] == commands
    assert names(found)[-1] == (11, "b")


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_read_from_any_offset(log: ProposalLog, limit: int) -> None:
    log.append([make_proposal(name) for name in "abc"])
    log.append([make_proposal("d")])
    assert log.end() == 4
    for offset in (0, 2, 3, 0):
        assert names(log.read(offset=offset, limit=limit)) == list(enumerate("abcd"))[offset : offset + limit]
    assert log.read(offset=4, limit=limit) == []


def test_a_reader_at_the_end_sees_what_comes(log: ProposalLog) -> None:
    log.append([make_proposal("a")])
    assert log.read(offset=1) == []
    log.append([make_proposal("b")])
    assert names(log.read(offset=1)) == [(1, "b")]


@pytest.mark.integration
@pytest.mark.parametrize("limit", [1, 500])
def test_what_is_no_proposal_is_passed_over(kafka: tuple[Kafka, Topics], limit: int) -> None:
    """The assigner puts it among the dead letters; those who read behind it must not stumble over it either."""
    log = KafkaProposalLog(*kafka)
    producer = kafka[0].producer()
    for bad in (b"", b"{}", b"no json"):
        producer.send(kafka[1].proposals, value=bad, partition=0)
    producer.send(kafka[1].proposals, key=b"k", value=None, partition=0)
    producer.flush(timeout=10)
    log.append([make_proposal("a")])
    producer.send(kafka[1].proposals, value=b"{", partition=0)
    producer.flush(timeout=10)
    producer.close()
    assert names(log.read(offset=0, limit=limit)) == [(4, "a")]
    assert log.read(offset=5, limit=limit) == []
    log.close()
