"""A producer in another client library, by the documentation alone; and what sending again does."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neardup.dead_letters import read_dead_letters
from neardup.types import ImageId, Vector
from tests.e2e.conftest import Pipeline, PipelineFactory, Sample
from tests.peers.environments import confluent_python

pytestmark = pytest.mark.e2e

METADATA = {
    "source": "upload",
    "tenant": "acme",
    "created_at": "2026-01-31T12:00:00Z",
    "image_url": "https://images.example/4711.jpg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


def test_another_client_by_the_documentation_alone(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("foreign")
    store, search = running.wiring.store, running.wiring.unlimited_search
    both = next(iter(sample.embeddings.values()))
    name = ImageId("fotos/ü 1.jpg")

    def sides(version: int, metadata: dict[str, str], *, length: float = 1.0) -> list[dict[str, Any]]:
        namespace = running.settings.namespace
        return [
            {
                "topic": f"{namespace}.embeddings.{side}",
                "key": name,
                "value": {
                    "schema": 1,
                    "image_id": name,
                    "version": version,
                    "embedding": _base64(embedding * length),
                    "metadata": metadata,
                },
            }
            for side, embedding in (("lsh", both.lsh), ("score", both.score))
        ]

    _send(running, sides(3, METADATA))
    first = running.drain()["decisions"]
    (image,) = search.images([name]).values()
    assert (image.version, image.metadata) == (3, METADATA)
    placed = store.placements([name])[name]

    # The same again, and an older version: nothing happens.
    _send(running, [*sides(3, METADATA), *sides(2, {})])
    assert running.drain()["decisions"] == first
    assert store.placements([name])[name] == placed

    # A higher version is decided anew, and replaces what is known of the image.
    _send(running, sides(4, {"source": "crawl"}, length=2.0))
    assert running.drain()["decisions"] == placed.seq + 1
    (image,) = search.images([name]).values()
    assert (image.version, image.metadata) == (4, {"source": "crawl"})

    # Deleting by a message without a value is not there yet, and is said to be so.
    _send(running, [{"topic": running.wiring.topics.lsh_embeddings, "key": name, "value": None}])
    running.drain()
    (letter,) = {one.source: one for one in read_dead_letters(running.wiring.kafka, running.wiring.topics)}.values()
    assert (letter.key, letter.value) == (name.encode(), None)
    assert "images are not removed by messages" in letter.reason
    assert store.placements([name])[name].version == 4


def _send(running: Pipeline, messages: list[dict[str, Any]]) -> None:
    subprocess.run(
        [
            str(confluent_python()),
            str(Path(__file__).parents[1] / "peers" / "foreign_producer.py"),
            str(running.settings.kafka.bootstrap_servers),
        ],
        input="".join(f"{json.dumps(message)}\n" for message in messages),
        text=True,
        check=True,
        timeout=120,
    )


def _base64(embedding: Vector) -> str:
    return base64.b64encode(np.asarray(embedding, dtype="<f4").tobytes()).decode()
