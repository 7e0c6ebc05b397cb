"""Bad input gets one clear line, the run goes on, and bad messages are kept with their reason."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neardup.dead_letters import read_dead_letters
from neardup.demo.corpus import sample_photos
from neardup.messages import EmbeddingMessage
from neardup.types import Embeddings, ImageId
from tests.e2e.conftest import PipelineFactory, Sample, as_json

pytestmark = pytest.mark.e2e

Neardup = Callable[..., subprocess.CompletedProcess[str]]


def test_bad_messages_become_dead_letters_and_good_ones_go_on(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("badmessages")
    topics = running.wiring.topics
    good = dict(list(sample.embeddings.items())[:6])
    lsh = next(iter(good.values())).lsh
    bad: list[tuple[str, bytes, str]] = [
        (topics.lsh_embeddings, b"not json", "JSON"),
        (topics.lsh_embeddings, b"", "JSON"),
        (topics.score_embeddings, b'{"image_id": "", "embedding": "AAAA"}', "image_id: is empty"),
        (topics.lsh_embeddings, b'{"schema": 7, "image_id": "x", "embedding": "AAAAAA=="}', "schema"),
        (topics.lsh_embeddings, b'{"image_id": "x", "embedding": "AAAAAA=="}', "embedding: dimension 1"),
        (
            topics.score_embeddings,
            EmbeddingMessage(image_id="x", embedding=lsh[:7]).encode(),
            "embedding: dimension 7",
        ),
    ]
    producer = running.wiring.kafka.producer()
    for topic, value, _ in bad:
        producer.send(topic, key=b"x", value=value)
    producer.flush()
    zeros = Embeddings(lsh=np.zeros_like(lsh), score=next(iter(good.values())).score)
    broken = Embeddings(lsh=np.full_like(lsh, np.nan), score=zeros.score)
    running.publish(good | {ImageId("zeros"): zeros, ImageId("nan"): broken})
    running.drain()
    producer.close()

    assert set(running.wiring.store.placements([*good, ImageId("zeros"), ImageId("nan")])) == set(good)
    # A message may be put aside twice when the group is rebalanced before its offset is committed.
    letters = list({one.source: one for one in read_dead_letters(running.wiring.kafka, topics)}.values())
    assert len(letters) == len(bad) + 2
    for topic, value, reason in bad:
        found = [one for one in letters if one.source.topic == topic and one.value == value]
        assert len(found) == 1
        assert reason in found[0].reason
    later = sorted(one.reason for one in letters if one.source.topic == topics.images)
    assert later == [
        "embedding: contains NaN or infinity",
        "embedding: is all zeros and has no direction",
    ]


def test_bad_files_are_named_and_the_others_are_added(neardup: Neardup, tmp_path: Path) -> None:
    photo = sample_photos()[0]
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "good.jpg").write_bytes(photo.read_bytes())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(photo.read_bytes()[:3000])
    (folder / "text.png").write_text("this is no picture")
    done = neardup("add", str(folder), "--json", namespace="badfiles")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    result = json.loads(done.stdout)
    assert result["published"] == 1
    reasons = {Path(one["path"]).name: one["reason"] for one in result["failed"]}
    assert set(reasons) == {"empty.jpg", "cut.jpg", "text.png"}
    assert all(reason and "\n" not in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "."), 2, "no images in this folder"),
        (("add", "missing.jpg"), 2, "no such file or folder"),
        (("query", "missing"), 1, "is not an image"),
        (("head", "missing"), 1, "not an image"),
        (("members", "missing"), 1, "neither an image nor a cluster"),
        (("explain", "missing", "missing"), 1, "is not an image"),
        (("query", "missing", "--where", "tenant"), 2, "is not NAME=VALUE"),
        (("worker", "--bulk"), 2, "it needs --until-drained"),
        (("add", "missing.jpg", "--metadata", "created_at=today"), 2, "no such file or folder"),
    ],
)
def test_commands_say_what_is_wrong(
    neardup: Neardup, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = neardup(*arguments, namespace="badfiles", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_added_files_are_found_by_all_questions(neardup: Neardup, tmp_path: Path) -> None:
    photos = sample_photos()[:2]
    for photo in photos:
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    namespace = "questions"
    assert as_json(neardup("add", str(tmp_path), "--json", namespace=namespace)) == {"published": 2, "failed": []}
    drained = as_json(neardup("worker", "--until-drained", "--bulk", "--json", namespace=namespace))
    assert isinstance(drained, dict)
    assert drained["decisions"] == 2
    # Adding the same files again changes nothing.
    neardup("add", str(tmp_path), "--json", namespace=namespace)
    again = as_json(neardup("worker", "--until-drained", "--json", namespace=namespace))
    assert isinstance(again, dict)
    assert again["decisions"] == 2

    state = as_json(neardup("index", "status", "--json", namespace=namespace))
    assert isinstance(state, dict)
    assert (state["images"], state["searchable"], state["seq"], state["segments"]) == (2, 2, 2, 1)

    first = tmp_path / photos[0].name
    head = as_json(neardup("head", photos[0].name, "--json", namespace=namespace, cwd=tmp_path))
    assert isinstance(head, dict)
    assert head["head"] == str(first)
    known = as_json(neardup("query", str(first), "--json", namespace=namespace))
    assert isinstance(known, dict)
    assert (known["seen"], known["in_corpus"], known["head"]) == (True, True, str(first))
    by_bytes = as_json(neardup("query", str(photos[0]), "--json", namespace=namespace))
    assert isinstance(by_bytes, dict)
    assert (by_bytes["seen"], by_bytes["in_corpus"], by_bytes["head"]) == (True, False, str(first))
    unseen = as_json(neardup("query", str(sample_photos()[5]), "--json", namespace=namespace))
    assert isinstance(unseen, dict)
    assert (unseen["seen"], unseen["cluster"]) == (False, None)
    exported = neardup("clusters", "export", namespace=namespace)
    assert sorted(exported.stdout.splitlines()[1:]) == sorted(
        f"{tmp_path / photo.name},{tmp_path / photo.name}" for photo in photos
    )
