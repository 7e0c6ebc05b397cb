"""Resilience, proved: python -m benchmarks.resilience [--quick] [--only PART]… [--seeds N] [--home DIR] [--json FILE].

crash: the roles of the worker are killed at every named point between two steps of the path. faults: every engine is
killed, paused, slow, refusing, cut off, hanging, or answers with errors or garbage, while images flow. scale: several
workers of a role, workers that come and go, a standby that takes over. Real engines, real processes; afterwards
everything must be decided once and agree with the ledger.

Prints tables; FILE gets {"figures": {name: number}, "rows": […]}. Exit code 1 when anything was found. About an hour
and a half on two cores; four minutes with --quick.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.report import Report
from benchmarks.resilience.crashes import crash_matrix
from benchmarks.resilience.engines import trial_engines
from benchmarks.resilience.faults import ENGINES, KINDS, attempts, fault_matrix, some_of_each
from benchmarks.resilience.scale_out import Scale, scale_out
from benchmarks.resilience.trial import TrialResult

_PARTS = ("crash", "faults", "scale")
_CRASH_SEEDS, _FAULT_SEEDS = 50, 5
_FULL = Scale(takeovers=5, images=600, changes=40, runs=20, copies=1000)
_QUICK = Scale(takeovers=1, images=50, changes=5, runs=1, copies=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, small corpora")
    parser.add_argument("--only", action="append", choices=_PARTS, help="may be given several times")
    parser.add_argument("--seeds", type=int, metavar="N", help="how often each point and each fault is tried")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="faults of this engine only")
    parser.add_argument("--kind", action="append", choices=KINDS, help="faults of this kind only")
    parser.add_argument("--home", type=Path, metavar="DIR", help="engines that live there, instead of new ones")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    parts = frozenset(arguments.only or _PARTS)
    quick: bool = arguments.quick
    report, result = Report(), TrialResult()
    # So that engines and workers are taken down, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with trial_engines(arguments.home) as (settings, folder):
            log = folder / "workers.log"
            if "crash" in parts:
                seeds = arguments.seeds or (1 if quick else _CRASH_SEEDS)
                crash_matrix(report, settings, seeds=seeds, log=log, result=result)
            if "faults" in parts:
                chosen = some_of_each()
                if arguments.seeds or not quick:
                    seeds = arguments.seeds or _FAULT_SEEDS
                    chosen = attempts(seeds, arguments.engine or ENGINES, arguments.kind or KINDS)
                fault_matrix(report, settings, chosen, log=log, result=result)
            if "scale" in parts:
                scale_out(report, settings, _QUICK if quick else _FULL, log=log, result=result)
    finally:
        report.figures |= result.figures
        for note in result.notes:
            report.note(note)
        # Also what was found before something failed.
        report.finish(arguments.json)
    if not result.clean:
        sys.exit(1)


if __name__ == "__main__":
    main()
