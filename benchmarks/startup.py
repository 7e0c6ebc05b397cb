"""How long a newcomer waits: python -m benchmarks.startup [--quick] [--json FILE].

Starts the engines twice in a home of its own (downloads from the cache, if they are there), and, unless --quick, runs
the demo twice. Prints a table; FILE gets {"figures": {name: number}}.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from neardup.cli.output import print_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the demo")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    figures: dict[str, float] = {"help_seconds": median(_timed("--help")[0] for _ in range(5))}
    with tempfile.TemporaryDirectory(prefix="neardup-bench-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        os.environ["NEARDUP_LOCAL__HOME"] = home
        try:
            figures |= _engines()
            if not arguments.quick:
                figures |= _demo()
        finally:
            _timed("engines", "down")
    print_table(("figure", "value"), [(name, float(value)) for name, value in figures.items()])
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=2) + "\n")


def _engines() -> dict[str, float]:
    first, _ = _timed("engines", "up")
    _timed("engines", "down")
    second, _ = _timed("engines", "up")
    time.sleep(10)
    _, printed = _timed("engines", "status", "--json")
    states = json.loads(printed)
    assert all(state["state"] == "healthy" for state in states), states
    return {
        "first_up_seconds": first,
        "second_up_seconds": second,
        "idle_rss_mb": sum(state["rss_bytes"] for state in states) / 2**20,
    }


def _demo() -> dict[str, float]:
    first, printed = _timed("demo", "--json")
    second, _ = _timed("demo", "--json")
    result = json.loads(printed)
    return {
        "first_demo_seconds": first,
        "second_demo_seconds": second,
        **{name: result[name] for name in ("precision", "recall", "edits_found")},
        **{f"{stage.replace(' ', '_')}_seconds": spent for stage, spent in result["seconds"].items()},
    }


def _timed(*arguments: str) -> tuple[float, str]:
    """Seconds and output of a neardup command."""
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "neardup", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - begun, done.stdout


if __name__ == "__main__":
    main()
