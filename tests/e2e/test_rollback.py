"""`neardup rollback`, `reprocess` and `recluster` on running workers."""

import subprocess
import sys
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import pytest

from neardup.clusters import ClusterState
from neardup.types import ClusterId, ImageId
from tests.e2e.conftest import Pipeline, PipelineFactory, Sample, as_json, environment
from tests.e2e.verify import assert_projections_equal_ledger, read_ledger

pytestmark = pytest.mark.e2e


def test_decisions_are_taken_back_and_made_again(
    pipeline: PipelineFactory,
    sample: Sample,
    neardup: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    name = "rollback"
    running = pipeline(name)
    first, second, *others = list(sample.embeddings)[:8]
    running.publish({first: sample.embeddings[first]})
    running.drain()
    copies = [ImageId(f"copy {number}") for number in range(4)]
    running.publish(dict.fromkeys(copies, sample.embeddings[first]) | {i: sample.embeddings[i] for i in others})
    running.drain()
    heads = {i: p.head for i, p in running.wiring.store.placements([*copies, *others]).items()}
    assert {heads[copy] for copy in copies} == {first}

    plan = as_json(neardup("rollback", "--to", "1", "--dry-run", "--json", namespace=name))
    assert isinstance(plan, dict)
    assert {change["image_id"] for change in plan["changes"]} >= set(copies)
    assert running.wiring.store.placements(copies)[copies[0]].head == first
    report = as_json(neardup("rollback", "--to", "1", "--reason", "a test", "--yes", "--json", namespace=name))
    assert isinstance(report, dict)
    assert report["not_done"] == []
    again = [ImageId(image_id) for image_id in report["again"]]
    running.drain()
    placements = running.wiring.store.placements([first, *copies, *others])
    assert {image_id: placed.head for image_id, placed in placements.items()} == {i: i for i in placements}

    file = tmp_path / "ids.txt"
    file.write_text("\n".join(again))
    dry = as_json(neardup("reprocess", "--ids", str(file), "--dry-run", "--json", namespace=name))
    assert isinstance(dry, dict)
    assert {move["image_id"] for move in dry["moves"]} >= set(copies)
    assert {move["rule"] for move in dry["moves"]} == {"best-match"}
    done = as_json(neardup("reprocess", "--ids", str(file), "--wait", "--json", namespace=name))
    assert isinstance(done, dict)
    assert done["images"] == len(again)
    running.drain()
    placements = running.wiring.store.placements(copies)
    assert {placed.head for placed in placements.values()} == {first}
    assert {placed.run for placed in placements.values()} == {1}

    split = as_json(neardup("recluster", first, "--threshold", "1", "--dry-run", "--json", namespace=name))
    assert isinstance(split, dict)
    assert sum(map(len, split["groups"])) >= 5
    assert split["groups"][0][0] == first
    assert_projections_equal_ledger(running.wiring, [first, *copies, *others])
    assert second not in placements


def test_killed_in_the_middle_it_is_given_again_and_ends_the_same(
    pipeline: PipelineFactory, sample: Sample, neardup: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Every image but the heads goes to another cluster, each cluster's is a command of its own, and new ones come."""
    name = "rollbackkilled"
    running = pipeline(name)
    running.publish(sample.embeddings)
    running.drain()
    then = ClusterState(read_ledger(running.wiring))
    heads = [info.head for info in then.clusters() if info.size > 1]
    elsewhere = dict(zip(heads, islice(cycle(heads), 1, None), strict=False))
    moved = {
        placement.image_id: sample.embeddings[elsewhere[placement.head]]
        for placement in then.placements()
        if placement.head in elsewhere and placement.image_id != placement.head
    }
    running.publish(moved, version=2)
    new = [ImageId(f"new {number}") for number in range(8)]
    running.publish(dict(zip(new, (sample.embeddings[head] for head in heads), strict=False)))
    running.drain()
    ids = [*sample.embeddings, *new]
    changed = ClusterState(read_ledger(running.wiring))
    assert all(cluster_of(changed, image_id) != cluster_of(then, image_id) for image_id in moved)

    back = ("rollback", "--to", str(then.seq), "--reason", "a test", "--yes")
    plan = as_json(neardup(*back, "--dry-run", "--json", namespace=name))
    assert isinstance(plan, dict)
    commands = len(plan["commands"])
    assert commands >= 8
    for told in (2, 3):
        kill_after(running, back, told)
        # A command that is in the log is carried out, whoever sent it.
        running.drain()
    state = ClusterState(read_ledger(running.wiring))
    returned = {ImageId(change["image_id"]) for change in plan["changes"]}
    left = [one for one in returned if state.placement(one) == changed.placement(one)]
    assert 0 < len(left) < len(returned)

    report = as_json(neardup(*back, "--json", namespace=name))
    assert isinstance(report, dict)
    assert report["not_done"] == []
    assert {change["image_id"] for change in report["changes"]} == set(left)
    assert set(report["again"]) == set(plan["again"]) == set(new)
    running.drain()
    state = assert_projections_equal_ledger(running.wiring, ids)
    for image_id in ids:
        was, now = then.placement(image_id), state.placement(image_id)
        assert now is not None
        assert now.head == (image_id if was is None else was.head)
    again = as_json(neardup(*back, "--json", namespace=name))
    assert isinstance(again, dict)
    assert (again["changes"], again["commands"]) == ([], [])
    assert neardup("verify", namespace=name).returncode == 0


def cluster_of(state: ClusterState, image_id: ImageId) -> ClusterId | None:
    placement = state.placement(image_id)
    return None if placement is None else placement.cluster_id


def kill_after(running: Pipeline, arguments: tuple[str, ...], told: int) -> None:
    """SIGKILL when it has told of so many commands, of more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "neardup", *arguments],
        env=environment(running.settings),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr as lines:
        of = next(line for line in lines if line.startswith(f"{told} of "))
        process.kill()
    assert process.wait() != 0
    assert int(of.split(":")[0].split()[2]) > told
