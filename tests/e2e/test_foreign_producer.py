"""A producer in another client library, by the documentation alone; what sending again does, and deleting."""

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neardup.dead_letters import read_dead_letters
from neardup.entries import ImageErased, Unchanged
from neardup.lsh import query_terms
from neardup.types import Embeddings, ImageId, Probe, Vector
from tests.e2e.conftest import Pipeline, PipelineFactory, Sample, as_json
from tests.e2e.verify import assert_projections_equal_ledger, read_ledger
from tests.peers.environments import confluent_python

pytestmark = pytest.mark.e2e

Neardup = Callable[..., subprocess.CompletedProcess[str]]

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
    both, *_, another = sample.embeddings.values()
    name = ImageId("fotos/ü 1.jpg")

    def sides(version: int, metadata: dict[str, str], of: Embeddings = both) -> list[dict[str, Any]]:
        namespace = running.settings.namespace
        return [
            {
                "topic": f"{namespace}.embeddings.{side}",
                "key": name,
                "value": {
                    "schema": 1,
                    "image_id": name,
                    "version": version,
                    "embedding": _base64(embedding),
                    "metadata": metadata,
                },
            }
            for side, embedding in (("lsh", of.lsh), ("score", of.score))
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
    _send(running, sides(4, {"source": "crawl"}, another))
    assert running.drain()["decisions"] == placed.seq + 1
    (image,) = search.images([name]).values()
    assert (image.version, image.metadata) == (4, {"source": "crawl"})


def test_what_a_producer_deletes_is_gone_for_good(pipeline: PipelineFactory, sample: Sample, neardup: Neardup) -> None:
    namespace = "deleted"
    running = pipeline(namespace)
    wiring = running.wiring
    topics, store = wiring.topics, wiring.store
    source = next(iter(sample.source.values()))
    group = {name: both for name, both in sample.embeddings.items() if sample.source[name] == source}
    running.publish(group)
    running.drain()
    placed = store.placements(list(group)).values()
    ((cluster, _),) = Counter(placement.cluster_id for placement in placed).most_common(1)
    head = store.clusters([cluster])[cluster].head
    others = [member.image_id for member in store.members(cluster).members if member.image_id != head]

    # The head of its cluster, in both topics; and one that was never seen, in one of them.
    unseen = ImageId("never seen")
    _send(running, [_tombstone(topic, head) for topic in (topics.lsh_embeddings, topics.score_embeddings)])
    _send(running, [_tombstone(topics.score_embeddings, unseen)])
    decided = running.drain()["decisions"]

    entries = [entry for entry in read_ledger(wiring) if entry.actor == "producer"]
    erased = [entry for entry in entries if isinstance(entry, ImageErased)]
    assert {(entry.image_id, entry.cluster_id) for entry in erased} == {(head, cluster), (unseen, None)}
    (unchanged,) = (entry for entry in entries if not isinstance(entry, ImageErased))
    assert isinstance(unchanged, Unchanged)
    assert unchanged.because == f"{head!r} was erased before"
    reasons = " ".join(str(entry.reason) for entry in entries)
    assert all(topic in reasons for topic in (topics.lsh_embeddings, topics.score_embeddings))
    assert all("partition" in str(entry.reason) and "offset" in str(entry.reason) for entry in entries)

    # Readers do not find it: not by its id, not as a member, not by a search for the very same picture.
    assert neardup("head", head, namespace=namespace).returncode == 1
    assert store.clusters([cluster])[cluster].head == others[0]
    assert [member.image_id for member in store.members(cluster).members] == others
    codes = wiring.lsh.query_codes(group[head].lsh[None], probes=wiring.settings.search.probes)
    (found,) = wiring.unlimited_search.search([Probe(terms=query_terms(codes[0]))], limit=200, minimum_overlap=1)
    assert {candidate.image_id for candidate in found.candidates} >= set(others)
    assert head not in {candidate.image_id for candidate in found.candidates}

    # Whatever is sent of it, in a higher version as well, and the same bytes under a new id.
    running.publish(dict.fromkeys((head, unseen), group[head]), version=9)
    running.publish({ImageId("again"): group[head]})
    assert running.drain()["decisions"] == int(str(decided)) + 1
    assert store.placements([head, unseen]) == {}
    assert store.placements([ImageId("again")])[ImageId("again")].cluster_id == cluster
    assert_projections_equal_ledger(wiring, [*(name for name in group if name != head), ImageId("again")])
    listed = as_json(neardup("erase", head, "--yes", "--json", namespace=namespace))
    assert isinstance(listed, dict)
    assert listed["outcome"] == "unchanged"
    assert {mention["where"] for mention in listed["mentions"]} >= {topics.proposals, topics.moves}

    # Nothing can be deleted that has no id.
    _send(running, [_tombstone(topics.lsh_embeddings, "")])
    running.drain()
    (letter,) = {one.source: one for one in read_dead_letters(wiring.kafka, topics)}.values()
    assert (letter.key, letter.value, letter.reason) == (b"", None, "key: is empty; the message has no value")


def _tombstone(topic: str, key: str) -> dict[str, Any]:
    return {"topic": topic, "key": key, "value": None}


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
