"""Local points with a check of their geometry: python -m benchmarks.points [--quick] [--pictures DIR…] [--json FILE].

Offline. Without DIR the demo's photos; otherwise each DIR is a collection, of which the evaluation side is judged. The
weights of the points are learned from the other collections, or from the other half of a single one. At most 0.2 % of
the images of each may be in a wrong cluster: none, where there are fewer than 500.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.points.trial import Plan, run
from benchmarks.report import Report

_QUICK = Plan(at_most=12, edits=12)
_FULL = Plan(at_most=35, edits=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="12 pictures of each collection, 12 copies of each")
    parser.add_argument("--pictures", type=Path, nargs="+", default=[], metavar="DIR", help="each is one collection")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--cache", type=Path, default=Path("features"), help="features of training, kept")
    arguments = parser.parse_args()
    report = Report()
    try:
        with tempfile.TemporaryDirectory(prefix="neardup-points-") as folder:
            plan = _QUICK if arguments.quick else _FULL
            run(report, plan, arguments.pictures, Path(folder), arguments.cache)
    finally:
        # Also what was measured before something failed.
        report.finish(arguments.json)


if __name__ == "__main__":
    main()
