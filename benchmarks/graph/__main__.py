"""Graph and head cache, measured: python -m benchmarks.graph [--quick] [--json FILE].

Pages of giant clusters at every depth, idle and while members come; image -> head with Redis cold, warm and down; the
bulk load; beside raw redis-py and raw gremlinpython. JanusGraph and Redis of the benchmark's own. Prints tables; FILE
gets {"figures": {name: number}, "rows": […]}.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.engines import own_engines
from benchmarks.graph.run import Plan, run
from benchmarks.report import Report

_QUICK = Plan(giants=(10_000, 100_000), ordinary=12_000, pages=200, lookups=500, batches=20, walk_limit=1000)
_FULL = Plan(giants=(10_000, 300_000, 1_100_000), ordinary=60_000, pages=600, lookups=2000, batches=50, walk_limit=1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="clusters of 10 k and 100 k members, fewer requests")
    parser.add_argument(
        "--giant", type=int, action="append", metavar="N", help="size of a giant cluster, instead of the usual ones"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    plan = _QUICK if arguments.quick else _FULL
    report = Report()
    try:
        with own_engines("benchgraph", ["janusgraph", "redis"]) as settings:
            run(report, settings, replace(plan, giants=tuple(sorted(arguments.giant))) if arguments.giant else plan)
    finally:
        # Also what was measured before something failed.
        report.finish(arguments.json)


if __name__ == "__main__":
    main()
