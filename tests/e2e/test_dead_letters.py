"""Dead letters keep what was received, can be replayed once, and stop a worker when they are too many."""

import re
import time
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

from neardup.dead_letters import read_dead_letters
from neardup.messages import EmbeddingMessage
from neardup.settings import IngestSettings
from tests.e2e.conftest import Pipeline, PipelineFactory, Sample, as_json

pytestmark = pytest.mark.e2e

Neardup = Callable[..., CompletedProcess[str]]


def test_poison_in_the_middle_and_its_replay(pipeline: PipelineFactory, sample: Sample, neardup: Neardup) -> None:
    """The worker goes on, and what was put aside can be sent again, once."""
    namespace = "replayed"
    running = pipeline(namespace)
    topics = running.wiring.topics
    (late, both), *others = sample.embeddings.items()
    cut = EmbeddingMessage.create(image_id=late, version=1, embedding=both.lsh[:7]).encode()
    producer = running.wiring.kafka.producer()
    for image_id, embeddings in others[:3]:
        running.publish({image_id: embeddings})
        producer.send(topics.lsh_embeddings, key=late.encode(), value=cut, headers=[("trace", b"4711")])
    producer.flush()
    running.drain()
    producer.close()
    assert set(running.wiring.store.placements([late, *(image_id for image_id, _ in others[:3])])) == {
        image_id for image_id, _ in others[:3]
    }

    letters = _by_source(running)
    assert len(letters) == 3
    assert {one.value for one in letters} == {cut}
    assert {one.headers for one in letters} == {(("trace", b"4711"),)}
    first = letters[0].offset
    shown = as_json(neardup("dead-letters", "show", str(first), "--json", namespace=namespace))
    assert isinstance(shown, dict)
    assert (shown["key"], shown["headers"], shown["replayed_ms"]) == (late, {"trace": "4711"}, None)
    assert shown["received_ms"] == letters[0].received_ms > 0
    text = neardup("dead-letters", "show", str(first), namespace=namespace).stdout
    assert "dimension 7" in text
    assert cut.decode() in text

    before = _listed(neardup, namespace)
    one = as_json(neardup("dead-letters", "replay", str(first), "--json", namespace=namespace))
    assert one == {"replayed": [first], "replayed_before": []}
    again = neardup("dead-letters", "replay", str(first), namespace=namespace)
    assert again.stdout.splitlines() == [f"{first} was replayed before", "replayed 0, replayed before 1"]
    running.drain()
    # It is no better than it was: a new dead letter, with the same bytes and headers, and nothing else.
    after = _listed(neardup, namespace)
    assert [entry["offset"] for entry in after if entry["replayed_ms"] is not None] == [first]
    assert len(after) == len(before) + 1
    assert after[-1]["value_base64"] == before[0]["value_base64"]
    assert after[-1]["headers"] == {"trace": "4711", "replayed-dead-letter": str(first)}

    # By reason, and all: what was replayed before is left out.
    rest = [entry["offset"] for entry in after if entry["offset"] != first]
    replayed = as_json(neardup("dead-letters", "replay", "--reason", "dimension 7", "--json", namespace=namespace))
    assert replayed == {"replayed": rest, "replayed_before": [first]}
    wrong = neardup("dead-letters", "replay", namespace=namespace)
    assert (wrong.returncode, "say which" in wrong.stderr) == (2, True)
    missing = neardup("dead-letters", "show", "999999", namespace=namespace)
    assert (missing.returncode, "there is no dead letter" in missing.stderr) == (2, True)


def test_a_topic_of_mostly_bad_messages_stops_the_worker(pipeline: PipelineFactory, sample: Sample) -> None:
    """Good and bad ones in turn, so that there are never many bad ones in a row."""
    running = pipeline("mostlybad", ingest=IngestSettings(dead_letter_share=0.4))
    lsh = next(iter(sample.embeddings.values())).lsh
    producer = running.wiring.kafka.producer()
    for number in range(200):
        value = EmbeddingMessage.create(image_id=f"alone {number}", embedding=lsh).encode()
        producer.send(running.wiring.topics.lsh_embeddings, key=b"x", value=value if number % 2 else b"not json")
    producer.flush()
    producer.close()
    deadline = time.monotonic() + 120
    while (code := running.supervisor.check()) is None:
        assert time.monotonic() < deadline, running.log.read_text()[-3000:]
        time.sleep(0.2)
    assert code == 2
    log = running.log.read_text()
    assert re.search(r"\d+ of the last \d+ messages are not valid", log)
    assert "is something else being written to this topic?" in log


def _by_source(running: Pipeline) -> list[Any]:
    """A message may be put aside twice when the group is rebalanced before its offset is committed."""
    letters = read_dead_letters(running.wiring.kafka, running.wiring.topics)
    return list({one.source: one for one in letters}.values())


def _listed(neardup: Neardup, namespace: str) -> list[dict[str, Any]]:
    listed = as_json(neardup("dead-letters", "list", "--json", namespace=namespace))
    assert isinstance(listed, list)
    return listed
