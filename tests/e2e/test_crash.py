"""kill -9, of the worker's processes and of every engine, while images flow."""

import os
import random
import signal
import time

import pytest

from neardup.cli.worker import ROLES, role_command
from neardup.crashpoints import VARIABLE
from neardup.engines.state import read_state
from neardup.engines.supervisor import up
from neardup.evaluation.figures import judge
from neardup.settings import Settings
from neardup.supervisor import Supervisor
from neardup.types import ImageId
from tests.e2e.conftest import PipelineFactory, Sample, environment
from tests.e2e.verify import assert_projections_equal_ledger

pytestmark = pytest.mark.e2e

ENGINES = ("redis", "scorer", "janusgraph", "kafka", "opensearch")


@pytest.mark.parametrize("seed", range(3))
def test_killing_roles_at_random_loses_and_doubles_nothing(
    pipeline: PipelineFactory, sample: Sample, seed: int
) -> None:
    rng = random.Random(seed)
    running = pipeline(f"crashroles{seed}")
    ids = list(sample.embeddings)
    rng.shuffle(ids)
    kills = 0
    next_kill = time.monotonic() + rng.uniform(0.2, 2.0)

    def kill_one() -> None:
        nonlocal kills, next_kill
        pids = running.supervisor.pids
        if kills < 8 and pids and time.monotonic() > next_kill:
            os.kill(rng.choice(list(pids.values())), signal.SIGKILL)
            kills += 1
            next_kill = time.monotonic() + rng.uniform(0.2, 2.0)

    for start in range(0, len(ids), 12):
        running.publish({image_id: sample.embeddings[image_id] for image_id in ids[start : start + 12]})
        running.supervisor.check()
        kill_one()
        time.sleep(0.3)
    # Once more for the same images: re-sending what is decided changes nothing.
    running.publish({image_id: sample.embeddings[image_id] for image_id in ids[:10]})
    running.drain(between=kill_one)
    while kills < 4:
        time.sleep(0.2)
        running.supervisor.check()
        kill_one()
    running.drain()

    state = assert_projections_equal_ledger(running.wiring, ids)
    figures = judge(sample.source, {placement.image_id: placement.head for placement in state.placements()})
    assert figures.precision == 1.0
    assert figures.recall >= 0.85


def test_a_crash_after_the_last_transaction_leaves_no_backlog(pipeline: PipelineFactory, sample: Sample) -> None:
    """Nothing comes after it that would move the group's offset."""
    running = pipeline("crashlast")
    running.supervisor.stop()
    image_id, *_ = sample.embeddings
    dying = Supervisor(
        {role: role_command(role, "crashlast") for role in ROLES},
        environment=environment(running.settings) | {VARIABLE: "assign.after-commit:1"},
    )
    dying.check()
    running.publish({image_id: sample.embeddings[image_id]})
    while len(dying.pids) == len(ROLES):
        time.sleep(0.05)
    assert "assign" not in dying.pids
    dying.stop()
    running.supervisor.check()
    running.drain()
    assert_projections_equal_ledger(running.wiring, [image_id])


@pytest.mark.parametrize("engine", ENGINES)
def test_killing_an_engine_loses_nothing(pipeline: PipelineFactory, sample: Sample, engine: str) -> None:
    running = pipeline(f"crash{engine}")
    ids = list(sample.embeddings)
    random.Random(engine).shuffle(ids)
    half = len(ids) // 2
    running.publish({image_id: sample.embeddings[image_id] for image_id in ids[:half]})
    while running.wiring.store.position().seq < 5:
        running.supervisor.check()
        time.sleep(0.05)
    kill_engine(running.settings, engine)
    time.sleep(1.0)
    up(running.settings)
    running.publish({image_id: sample.embeddings[image_id] for image_id in ids[half:]})
    running.drain()
    assert_projections_equal_ledger(running.wiring, ids)


def kill_engine(settings: Settings, engine: str) -> None:
    """kill -9, as the kernel does when memory runs out."""
    os.kill(read_state(settings.local.home).processes[engine].pid, signal.SIGKILL)


def test_a_projection_dropped_is_made_again(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("crashrebuild")
    running.publish(sample.embeddings)
    running.drain()
    running.supervisor.stop()
    running.wiring.cache.clear()
    running.supervisor.check()
    running.drain()
    assert_projections_equal_ledger(running.wiring, list(sample.embeddings))


def test_a_new_version_is_decided_again_and_an_old_one_is_not(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("versions")
    running.publish(sample.embeddings, version=5)
    running.drain()
    first, *_, second = sample.embeddings
    running.publish({first: sample.embeddings[second]}, version=4)
    running.publish({second: sample.embeddings[first]}, version=6)
    running.drain()
    placements = running.wiring.store.placements([first, second])
    assert placements[first].version == 5
    assert placements[second].version == 6
    indexed = running.wiring.search.images([second])[ImageId(second)]
    assert indexed.version == 6
