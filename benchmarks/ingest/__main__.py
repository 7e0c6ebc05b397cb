"""The ingest path, measured: python -m benchmarks.ingest [--quick] [--json FILE] [--only PART]….

From "both embeddings are in Kafka" to "the head look-up answers", with all engines and all roles on this machine, on
engines of its own. Prints tables; FILE gets {"figures": {name: number}, "rows": […]}. --quick: a corpus of 10 k
images and short loads; else 10 k, 100 k and 1 M.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.engines import own_home
from benchmarks.ingest.run import PARTS, Plan, run
from benchmarks.report import Report

_QUICK = Plan(
    sizes=(10_000,),
    main=10_000,
    warm_up=1_500,
    rate_seconds=20,
    full_seconds=15,
    full_seconds_main=30,
    burst=2_000,
    proposers=1,
    flood=10_000,
    assign_seconds=20,
)
_FULL = Plan(
    sizes=(10_000, 100_000, 1_000_000),
    main=100_000,
    warm_up=6_000,
    rate_seconds=60,
    full_seconds=60,
    full_seconds_main=300,
    burst=10_000,
    proposers=1,
    flood=20_000,
    assign_seconds=30,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 k images, short loads")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be given several times")
    parser.add_argument("--images", type=int, metavar="N", help="one corpus of this size, instead of the usual ones")
    parser.add_argument("--proposers", type=int, metavar="N", help="processes that search and score")
    arguments = parser.parse_args()
    plan = _QUICK if arguments.quick else _FULL
    if arguments.images:
        plan = replace(plan, sizes=(arguments.images,), main=arguments.images)
    if arguments.proposers:
        plan = replace(plan, proposers=arguments.proposers)
    report = Report()
    try:
        with own_home() as usual:
            settings = usual.model_copy(update={"namespace": "benchingest"})
            run(report, settings, plan, frozenset(arguments.only or PARTS))
    finally:
        # Also what was measured before something failed.
        report.finish(arguments.json)


if __name__ == "__main__":
    main()
