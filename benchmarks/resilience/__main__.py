"""Resilience, proved: python -m benchmarks.resilience [--quick] [--only PART] [--seeds N] [--home DIR] [--json FILE].

crash: the roles of the worker are killed at every named point between two steps of the path. Real engines, real
processes; afterwards everything must be decided once and agree with the ledger. Prints tables; FILE gets
{"figures": {name: number}, "rows": […]}. Exit code 1 when anything was found.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.report import Report
from benchmarks.resilience.crashes import crash_matrix
from benchmarks.resilience.engines import own_engines
from benchmarks.resilience.faults import ENGINES, KINDS
from benchmarks.resilience.trial import TrialResult

PARTS = ("crash", "faults", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few seeds")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be given several times")
    parser.add_argument("--seeds", type=int, metavar="N", help="how often each point and each fault is tried")
    parser.add_argument("--home", type=Path, metavar="DIR", help="engines that were started there, instead of own ones")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="faults of this engine only")
    parser.add_argument("--kind", action="append", choices=KINDS, help="faults of this kind only")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    parts = frozenset(arguments.only or PARTS)
    report, result = Report(), TrialResult()
    try:
        with own_engines(arguments.home) as (settings, folder):
            log = folder / "workers.log"
            if "crash" in parts:
                crash_matrix(
                    report, settings, seeds=arguments.seeds or (1 if arguments.quick else 50), log=log, result=result
                )
    finally:
        report.figures |= {"lost": result.lost, "doubled": result.doubled, "in_two_clusters": result.in_two_clusters}
        for note in result.notes:
            print(note, file=sys.stderr)
        report.finish(arguments.json)
    if not result.clean:
        sys.exit(1)


if __name__ == "__main__":
    main()
