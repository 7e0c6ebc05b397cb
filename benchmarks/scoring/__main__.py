"""Scoring, measured: python -m benchmarks.scoring [--quick] [--endpoint HOST:PORT] [--json FILE].

Rows a second in process and over gRPC, against the number of pairs in a batch and the number of clients. The server is
an embedded PredictionService of the benchmark's own; with --endpoint it is any other, for example TensorFlow Serving.
Prints tables; FILE gets {"figures": {name: number}, "rows": […]}. Two minutes; half a minute with --quick.
"""

import argparse
from pathlib import Path

from benchmarks.report import Report
from benchmarks.scoring.run import Plan, run

_QUICK = Plan(seconds=1.5, batches=(200, 2500, 12_800), clients=(1, 4))
_FULL = Plan(seconds=4.0, batches=(1, 20, 200, 2500, 12_800), clients=(1, 2, 4, 8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer shapes, less time for each")
    parser.add_argument("--endpoint", metavar="HOST:PORT", help="a PredictionService that runs already")
    parser.add_argument("--model-name", default="neardup", metavar="NAME")
    parser.add_argument(
        "--batch-rows", type=int, default=2048, metavar="N", help="largest number of pairs in a Predict"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    report = Report()
    run(
        report,
        _QUICK if arguments.quick else _FULL,
        endpoint=arguments.endpoint,
        model_name=arguments.model_name,
        batch_rows=arguments.batch_rows,
    )
    report.flush()
    if arguments.json:
        report.write(arguments.json)


if __name__ == "__main__":
    main()
