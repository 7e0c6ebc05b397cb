"""The crash matrix: SIGKILL at every crash point, for many seeds, while images flow.

The four roles die side by side, each at its own points, also while they recover from the kill before. After every few
kills they are left alone, and then everything must be decided, applied and equal to the ledger. A namespace lives for
some rounds, so most kills meet a ledger, a memory and projections that have contents.
"""

import random
import time
from collections import Counter, deque
from pathlib import Path

from benchmarks.report import Report
from benchmarks.resilience.trial import ROLES, Trial, TrialResult
from benchmarks.resilience.workers import Arm
from neardup.crashpoints import CRASH_POINTS, CrashPoint
from neardup.settings import Settings

__all__ = ["crash_matrix", "schedule"]

_ROUNDS_A_NAMESPACE = 12
_BATCHES_A_ROUND = 60
_KILLS_A_ROUND = 4


def schedule(seeds: int) -> dict[str, deque[Arm]]:
    """For each role its points, each once a seed, in an order of their own. The seed says at which pass."""
    arms: dict[str, deque[Arm]] = {}
    for role in ROLES:
        of_role = [
            # The assigner fences its predecessors once, at its start.
            Arm(point, 1 if point == "assign.after-fence" else random.Random(f"{point} {seed}").randint(1, 3))
            for seed in range(seeds)
            for point in CRASH_POINTS
            if point.startswith(f"{role}.")
        ]
        random.Random(f"{role} {seeds}").shuffle(of_role)
        arms[role] = deque(of_role)
    return arms


def crash_matrix(report: Report, settings: Settings, *, seeds: int, log: Path, result: TrialResult) -> None:
    """Kill at all points for this many seeds; adds what was found to `result`, and the figure `kills`, also
    when it is ended early."""
    left = schedule(seeds)
    wanted = sum(map(len, left.values()))
    report.note(f"crash matrix: {len(CRASH_POINTS)} points x {seeds} seeds = {wanted} kills")
    kills: Counter[CrashPoint] = Counter()
    begun, number, checks, images, surprised = time.monotonic(), 0, 0, 0, 0
    try:
        while any(left.values()):
            number += 1
            with Trial(_varied(settings, number), seed=f"crash {number}", log=log) as running:
                for role in ROLES:
                    running.workers.add(role, "one", arms=left[role])
                checks += _rounds(report, running, left, result, number)
            kills += running.workers.kills
            surprised += running.workers.surprised
            images += len(running.corpus.published)
            result.ended(running.workers.ended, f"crashes, namespace {number}")
            report.note(f"{kills.total()} of {wanted} kills, {checks} checks")
            if not running.workers.kills:
                result.fail(f"crashes, namespace {number}: no process died, still to die: {left}")
                break
    finally:
        for point in CRASH_POINTS:
            report.row("kills", point=point, kills=kills[point])
        seconds = round(time.monotonic() - begun)
        report.row(
            "crash matrix",
            kills=kills.total(),
            kills_at_other_moments=surprised,
            checks=checks,
            images=images,
            seconds=seconds,
        )
        report.figures["kills"] = kills.total()


def _rounds(report: Report, running: Trial, left: dict[str, deque[Arm]], result: TrialResult, number: int) -> int:
    """Rounds of one namespace; returns how many were checked."""
    rng = random.Random(f"rounds {number}")
    workers = running.workers
    for round_ in range(_ROUNDS_A_NAMESPACE):
        where = f"crashes, namespace {number}, round {round_}"
        workers.arm()
        waiting = {role: workers.died(role) for role in ROLES if left[role] or workers.armed(role)}
        if not waiting:
            return round_
        enough = _KILLS_A_ROUND // len(waiting)
        for _ in range(_BATCHES_A_ROUND):
            running.publish(running.corpus.batch(rng.randint(1, 4)))
            running.pause(rng.uniform(0.0, 0.3))
            if rng.random() < 0.2:
                running.publish_late()
            if all(workers.died(role) >= died + enough for role, died in waiting.items()):
                break
        running.publish_late()
        workers.hold()
        if not running.drained():
            result.fail(f"{where}: not drained: {running.behind()}")
            return round_
        result.add(running.check(), f"{where}, kills {dict(workers.kills)}")
        report.note(f"{where}: {workers.kills.total()} kills, {result}")
    result.add(running.replay(f"replay {number}"), f"crashes, namespace {number}, replay")
    return _ROUNDS_A_NAMESPACE


def _varied(settings: Settings, number: int) -> Settings:
    """Other sizes of batches, so that other work is under way when a process dies."""
    rng = random.Random(f"sizes {number}")
    ingest = settings.ingest.model_copy(update={"batch_images": rng.choice((2, 8, 64))})
    assign = settings.assign.model_copy(update={"batch_proposals": rng.choice((2, 10, 200))})
    return settings.model_copy(update={"ingest": ingest, "assign": assign})
