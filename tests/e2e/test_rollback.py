"""`neardup rollback`, `reprocess` and `recluster` on running workers."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from neardup.types import ImageId
from tests.e2e.conftest import PipelineFactory, Sample, as_json
from tests.e2e.verify import assert_projections_equal_ledger

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
