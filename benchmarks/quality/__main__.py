"""Quality, measured: python -m benchmarks.quality [--quick] [--pictures DIR…] [--json FILE] [--html FILE].

Each DIR is one source of pictures, of which only those of the evaluation side are judged (nothing learned from them).
Everyday and harder edits through the whole path on the local engines (`neardup evaluate`), then offline by source and
beside PDQ, pHash and a plain network. `--quick`: some of the demo's photos, which train nothing, and few others.
`--retrain`: every source is judged by weights trained without it. The peers need: pip install pdqhash==0.2.8
ImageHash==4.3.2 (dependency group `bench`).
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.quality.run import Plan, run
from benchmarks.quality.views import missing_packages
from benchmarks.report import Report

_QUICK = Plan(at_most=4, demo=24, orders=1)
_FULL = Plan(at_most=16, demo=None, orders=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="24 photos of the demo, at most 4 of each folder")
    parser.add_argument("--pictures", type=Path, nargs="+", default=[], metavar="DIR", help="each is one source")
    parser.add_argument("--at-most", type=int, metavar="N", help="pictures of each folder, instead of 16 (or 4)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the report of neardup evaluate, harder edits")
    parser.add_argument("--copies", type=Path, metavar="DIR", help="where the copies are kept, and used again")
    parser.add_argument("--cache", type=Path, default=Path("features"), help="features of training, kept")
    parser.add_argument("--no-engines", action="store_true", help="leave out the whole path: offline figures only")
    parser.add_argument("--retrain", action="store_true", help="leave-one-source-out with weights trained anew")
    arguments = parser.parse_args()
    if missing := missing_packages():
        sys.exit(f"benchmarks.quality: not installed: {sys.executable} -m pip install {' '.join(missing)}")
    if not arguments.quick and not arguments.pictures:
        parser.error("name folders of pictures with --pictures, or use --quick")
    plan = (_QUICK if arguments.quick else _FULL).changed(arguments.at_most)
    report = Report()
    try:
        with tempfile.TemporaryDirectory(prefix="neardup-quality-") as folder:
            run(
                report,
                plan,
                arguments.pictures,
                arguments.copies or Path(folder),
                cache=arguments.cache,
                html=arguments.html,
                engines=not arguments.no_engines,
                retrain=arguments.retrain,
            )
    finally:
        # Also what was measured before something failed.
        report.finish(arguments.json)


if __name__ == "__main__":
    main()
