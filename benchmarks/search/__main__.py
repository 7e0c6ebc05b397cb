"""Candidate search, measured: python -m benchmarks.search [--quick] [--json FILE] [--only PART]….

Corpora of 100 k, 1 M and, without --quick, 10 M images on an OpenSearch of its own; the product by its adapters, then
peers on the same codes, and the same corpus with words of points. Prints tables; FILE gets {"figures": {name: number},
"rows": […]}. An hour and 26 GB of disk without --quick. The peers need: pip install faiss-cpu==1.15.1 usearch==2.26.6
(dependency group `bench`).
"""

import argparse
import sys
from pathlib import Path

from benchmarks.engines import own_engines
from benchmarks.report import Report
from benchmarks.search.peers import missing_packages
from benchmarks.search.run import PARTS, Plan, run

_QUICK = Plan(millions=1, timed=240, exact=40, giant=40, edits=8, large_peers=False)
_FULL = Plan(millions=10, timed=600, exact=60, giant=100, edits=28, large_peers=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 k and 1 M images, fewer queries")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be given several times")
    parser.add_argument("--millions", type=int, metavar="N", help="the largest corpus, instead of 10 (or 1) million")
    arguments = parser.parse_args()
    parts = frozenset(arguments.only or PARTS)
    if "peers" in parts and (missing := missing_packages()):
        sys.exit(
            f"benchmarks.search: the peers are not installed: {sys.executable} -m pip install {' '.join(missing)}\n"
            f"  or leave them out: --only {' --only '.join(part for part in PARTS if part != 'peers')}"
        )
    plan = _QUICK if arguments.quick else _FULL
    report = Report()
    try:
        with own_engines("benchsearch", ["opensearch"]) as settings:
            run(report, settings, plan.up_to(arguments.millions) if arguments.millions else plan, parts)
    finally:
        # Also what was measured before something failed.
        report.finish(arguments.json)


if __name__ == "__main__":
    main()
