"""What was measured: rows for people, figures for comparison with targets."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neardup.cli.output import print_table

__all__ = ["Cell", "Report", "percentiles"]

Cell = str | int | float


class Report:
    """Collects rows, each under the title of a table, and figures; prints a table when it is complete."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.rows: list[dict[str, Cell]] = []
        self._begun = time.monotonic()
        self._printed = 0

    def note(self, text: str) -> None:
        """Progress, on stderr."""
        print(f"[{time.monotonic() - self._begun:5.0f} s] {text}", file=sys.stderr, flush=True)

    def row(self, table: str, **cells: Cell) -> None:
        self.rows.append({"table": table, **cells})

    def flush(self) -> None:
        """Print the rows that were not printed yet, one table for each title."""
        waiting = self.rows[self._printed :]
        self._printed = len(self.rows)
        for title in dict.fromkeys(str(row["table"]) for row in waiting):
            rows = [row for row in waiting if row["table"] == title]
            columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "table"]
            print_table(columns, [[_shown(row.get(name, "")) for name in columns] for row in rows], title=title)
            print(flush=True)

    def finish(self, file: Path | None) -> None:
        """Print what is left and the figures, and write `file` if there is one."""
        for name, value in self.figures.items():
            self.row("figures", figure=name, value=float(value))
        self.flush()
        if file is not None:
            self.write(file)

    def write(self, file: Path) -> None:
        """{"figures": {name: number}, "rows": [...]}"""
        content = {"figures": {name: float(value) for name, value in self.figures.items()}, "rows": self.rows}
        file.write_text(json.dumps(content, indent=2) + "\n")


def percentiles(milliseconds: Sequence[float]) -> dict[str, Cell]:
    """p50, p95 and p99."""
    values = np.percentile(milliseconds, (50, 95, 99)).tolist()
    return dict(zip(("p50_ms", "p95_ms", "p99_ms"), values, strict=True))


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"
    return f"{cell:,}" if isinstance(cell, int) else cell
