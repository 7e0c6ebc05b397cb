"""Floods of one side and of both: the join's memory is bounded, and nothing is lost."""

import subprocess
import time
from collections.abc import Callable

import pytest

from neardup.incomplete import read_incomplete
from neardup.messages import EmbeddingMessage
from neardup.settings import IngestSettings
from neardup.types import ImageId
from tests.e2e.conftest import Pipeline, PipelineFactory, Sample, as_json
from tests.e2e.verify import assert_projections_equal_ledger

pytestmark = pytest.mark.e2e

Neardup = Callable[..., subprocess.CompletedProcess[str]]


def _send(running: Pipeline, sample: Sample, side: str, names: list[ImageId]) -> None:
    topics = running.wiring.topics
    topic = topics.lsh_embeddings if side == "lsh" else topics.score_embeddings
    producer = running.wiring.kafka.producer()
    embeddings = list(sample.embeddings.values())
    for number, name in enumerate(names):
        embedding = getattr(embeddings[number % len(embeddings)], side)
        message = EmbeddingMessage.create(image_id=name, version=1, embedding=embedding)
        producer.send(topic, key=name.encode(), value=message.encode())
    producer.flush()
    producer.close()


def test_what_stays_incomplete_is_listed_and_completed_late(
    pipeline: PipelineFactory, sample: Sample, neardup: Neardup
) -> None:
    running = pipeline("late", ingest=IngestSettings(grace_seconds=1.0))
    names = [ImageId(f"late {number}") for number in range(5)]
    _send(running, sample, "lsh", names)
    _wait(running, lambda: len(_incomplete(running)) == len(names))
    listed = as_json(neardup("incomplete", "list", "--json", "--limit", "2", namespace="late"))
    assert isinstance(listed, dict)
    assert (listed["count"], len(listed["images"])) == (5, 2)
    assert {(one["version"], one["missing"]) for one in listed["images"]} == {(1, "score")}
    assert "5 incomplete images" in neardup("incomplete", "list", namespace="late").stdout

    # What its producer deletes is not waited for any more, and a late partner does not bring it back.
    deleted = names.pop()
    producer = running.wiring.kafka.producer()
    producer.send(running.wiring.topics.score_embeddings, key=deleted.encode(), value=None)
    producer.close()
    _wait(running, lambda: deleted not in _incomplete(running))
    assert len(_incomplete(running)) == len(names)

    _send(running, sample, "score", [*names, deleted])
    _wait(running, lambda: not _incomplete(running))
    running.drain()
    assert_projections_equal_ledger(running.wiring, names)
    assert neardup("incomplete", "list", namespace="late").stdout == "no incomplete images\n"


def test_a_flood_of_both_sides_without_partners_is_bounded_and_loses_nothing(
    pipeline: PipelineFactory, sample: Sample
) -> None:
    """Neither side can wait for the other: with a grace of ten minutes, only giving room lets the join go on."""
    running = pipeline("flood", ingest=IngestSettings(join_limit=100))
    left = [ImageId(f"left {number}") for number in range(400)]
    right = [ImageId(f"right {number}") for number in range(400)]
    _send(running, sample, "lsh", left)
    _send(running, sample, "score", right)
    _wait(running, lambda: len(_incomplete(running)) >= 100)
    _send(running, sample, "score", left)
    _send(running, sample, "lsh", right)
    running.drain()
    assert_projections_equal_ledger(running.wiring, [*left, *right])
    assert not _incomplete(running)


def _incomplete(running: Pipeline) -> list[ImageId]:
    wiring = running.wiring
    found = read_incomplete(wiring.kafka, wiring.topics, partitions=wiring.settings.kafka.partitions)
    return [image.image_id for image in found]


def _wait(running: Pipeline, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert running.supervisor.check() is None
        assert time.monotonic() < deadline, running.log.read_text()[-3000:]
        time.sleep(0.3)
