"""What people say, by the command line, while the worker runs."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from neardup.cli.wiring import Wiring
from neardup.testing import DigestEmbedder
from neardup.types import ClusterId, Embeddings, ImageId
from tests.e2e.conftest import Pipeline, PipelineFactory, Sample
from tests.e2e.verify import assert_projections_equal_ledger

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]
NAMESPACE = "people"


def test_what_people_say_holds(pipeline: PipelineFactory, sample: Sample, neardup: Run) -> None:
    running = pipeline(NAMESPACE)
    ids = list(sample.embeddings)
    running.publish(sample.embeddings)
    running.drain()
    store = running.wiring.store

    def say(*arguments: str, code: int = 0) -> dict[str, Any]:
        done = neardup(*arguments, "--json", "--actor", "tester", "--reason", "an e2e test", namespace=NAMESPACE)
        assert done.returncode == code, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def head_of(image_id: str) -> str:
        return store.placements([ImageId(image_id)])[ImageId(image_id)].head

    heads = sorted({placement.head for placement in store.placements_all()})
    large = sorted(heads, key=lambda head: -store.clusters([ClusterId(head)])[ClusterId(head)].size)[:3]
    one, other, third = large
    member = next(m.image_id for m in store.members(ClusterId(one)).members if str(m.image_id) != one)

    forced = say("force", member, other)
    assert forced["outcome"] == "done"
    assert [entry["actor"] for entry in forced["entries"]] == ["tester"]
    assert head_of(member) == other
    assert say("force", member, other)["outcome"] == "unchanged"
    refused = say("verdict", "cannot-link", member, "nobody", code=1)
    assert refused["outcome"] == "refused"
    assert refused["entries"][0]["because"] == "'nobody' is not an image of this namespace"

    merged = say("merge", third, other)
    assert [entry["kind"] for entry in merged["entries"]] == ["cluster-merged"]
    assert head_of(third) == other
    assert store.clusters([ClusterId(third)])[ClusterId(third)].cluster_id == ClusterId(other)
    say("unmerge", third)
    assert head_of(third) == third

    left = [m.image_id for m in store.members(ClusterId(third)).members if str(m.image_id) != third][:2]
    say("split", third, *left)
    assert {head_of(image_id) for image_id in left} == {left[0]}
    say("verdict", "must-link", left[1], third)
    say("promote", left[1])
    assert head_of(third) == left[1]
    say("quarantine", one)
    say("quarantine", one, "--lift")

    erased = say("erase", third, "--yes")
    assert {mention["where"] for mention in erased["mentions"]} >= {f"{NAMESPACE}.ledger", f"{NAMESPACE}.proposals"}
    assert neardup("head", third, namespace=NAMESPACE).returncode == 1
    # Its id goes on to stand for the cluster.
    assert left[1] in neardup("members", third, namespace=NAMESPACE).stdout.splitlines()

    # A new version of what was forced stays, and what was erased never comes back.
    again = {ImageId(name): sample.embeddings[ImageId(name)] for name in (member, third)}
    running.publish(again, version=7)
    running.publish({ImageId("new"): _unlike_any(running.wiring)}, version=1)
    running.drain()
    assert head_of(member) == other
    assert_projections_equal_ledger(running.wiring, [*(name for name in ids if name != third), ImageId("new")])


def _unlike_any(wiring: Wiring) -> Embeddings:
    lsh, score = wiring.dimensions
    return DigestEmbedder(lsh_dimension=lsh, score_dimension=score, words=wiring.lsh.words).embed(b"unlike any")


def test_a_command_without_a_worker_says_so(pipeline: PipelineFactory, neardup: Run) -> None:
    running: Pipeline = pipeline("peoplewaiting")
    running.supervisor.stop()
    done = neardup("promote", "a", "--timeout", "1", namespace="peoplewaiting")
    assert done.returncode == 1
    assert "is `neardup worker` running?" in done.stderr
