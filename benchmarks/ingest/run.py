"""The order of things: the corpus grows, and each size is measured before the next."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.ingest.assigning import Assigned, Load, assign
from benchmarks.ingest.loading import load
from benchmarks.ingest.measure import Outcome, measure
from benchmarks.ingest.producer import Pace
from benchmarks.ingest.workers import Roles, cpu_seconds
from benchmarks.report import Cell, Report
from neardup.cli.wiring import Wiring
from neardup.settings import Settings
from opensearch_templates.status import merge_segments

__all__ = ["PARTS", "Plan", "run"]

PARTS: Final = ("idle", "rate", "full", "deep", "duplicates", "burst", "assign")
_OF_ALL_ROLES: Final = frozenset(PARTS) - {"deep", "assign"}
RATE: Final = 50
_DEEP: Final = 2_500
_USUAL_SHARE: Final = 0.2
_SHARES: Final = (0.0, 0.5, 0.9)
_IDLE_SECONDS: Final = 30.0
_ASSIGN_RATE: Final = 200
_UNSEEN_SECONDS: Final = 1.0
"""How far the searches of the proposals are behind the decisions, at the rates of the targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much. `sizes`: corpora; the figures are of `main`. `warm_up`: images before anything is measured, for engines
    that have just started take twice the CPU while they compile. `rate_seconds`, `full_seconds`: how long images
    arrive at 50 a second and at full speed; `full_seconds_main`: the latter at the main size. `proposers`: processes.
    `flood`: proposals at once; `assign_seconds`: how long proposals come at a rate."""

    sizes: tuple[int, ...]
    main: int
    warm_up: int
    rate_seconds: float
    full_seconds: float
    full_seconds_main: float
    burst: int
    proposers: int
    flood: int
    assign_seconds: float


def run(report: Report, settings: Settings, plan: Plan, parts: frozenset[str]) -> None:
    """Everything; the figures and rows go to `report`."""
    wiring = Wiring(settings)
    wiring.setup()
    roles = Roles(settings, Path(settings.local.home) / "roles.log")
    report.figures |= {"lost": 0, "doubled": 0}
    held = 0
    try:
        for size in plan.sizes:
            report.note(f"{size:,} images: loading the corpus")
            rates = load(wiring, roles, range(held, size))
            merge_segments(wiring.opensearch, wiring.index_names, 1)
            report.row("corpus: images a second into each projection", images=size, **rates)
            held = size
            _Size(report, wiring, roles, plan, size).measure(parts)
            report.flush()
    finally:
        wiring.close()


class _Size:
    """One corpus size, and what is measured on it."""

    def __init__(self, report: Report, wiring: Wiring, roles: Roles, plan: Plan, size: int) -> None:
        self._report = report
        self._wiring = wiring
        self._roles = roles
        self._plan = plan
        self._size = size

    def measure(self, parts: frozenset[str]) -> None:
        main = self._size == self._plan.main
        counts = {"join": 1, "propose": self._plan.proposers, "assign": 1, "project": 1}
        self._roles.overrides = {}
        if parts & _OF_ALL_ROLES:
            self._of_all_roles(counts, parts, main=main)
        if "deep" in parts:
            self._deep(counts)
        if main and "assign" in parts:
            with self._roles.running({"assign": 1, "project": 1}):
                self._assign()
            with self._roles.running({"assign": 1}):
                self._assign_alone()

    def _of_all_roles(self, counts: Mapping[str, int], parts: frozenset[str], *, main: bool) -> None:
        with self._roles.running(counts):
            self._warm_up("usual")
            if main and "idle" in parts:
                self._idle()
            if "rate" in parts:
                outcome = self._one("at 50/s", rate=RATE, seconds=self._plan.rate_seconds)
                if main:
                    self._figures_at_rate(outcome)
            if "full" in parts:
                seconds = self._plan.full_seconds_main if main else self._plan.full_seconds
                outcome = self._one("full speed", seconds=seconds)
                if main:
                    self._report.figures["images_per_second"] = outcome.middle_rate
                    self._report.figures["cpu_ms_per_image"] = sum(outcome.cpu.values())
                    self._report.figures["reference_ms"] = outcome.reference_ms
            if main and "duplicates" in parts:
                for share in _SHARES:
                    self._one("full speed", seconds=self._plan.full_seconds, duplicates=share)
            if main and "burst" in parts:
                self._one("one image", seconds=1e6, count=self._plan.burst, copies_of_one=True)

    def _deep(self, counts: Mapping[str, int]) -> None:
        self._roles.overrides = {"NEARDUP_SEARCH__CANDIDATE_LIMIT": str(_DEEP)}
        with self._roles.running(counts):
            self._warm_up("deep")
            self._one(f"at 50/s, N = {_DEEP}", rate=RATE, seconds=self._plan.rate_seconds)
            self._one(f"full speed, N = {_DEEP}", seconds=self._plan.full_seconds)
        self._roles.overrides = {}

    def _assign(self) -> None:
        """The assigner with only the projectors beside it."""
        self._one_assign("warm-up", count=1_000)
        flood = self._one_assign("at once", count=self._plan.flood)
        paced = self._one_assign(f"at {_ASSIGN_RATE}/s", count=self._paced, rate=_ASSIGN_RATE)
        self._report.figures |= {
            "decisions_per_second": flood.middle_rate,
            "decision_p99_ms_at_200": float(np.percentile(paced.latencies, 99)),
        }

    def _assign_alone(self) -> None:
        """Nor the projectors: it decides while the graph stands still, not as far as its memory reaches."""
        flood = self._one_assign("at once, alone", count=self._plan.flood // 2, projected=False)
        paced = self._one_assign(f"at {_ASSIGN_RATE}/s, alone", count=self._paced, rate=_ASSIGN_RATE, projected=False)
        self._report.figures |= {
            "decisions_per_second_alone": flood.middle_rate,
            "decision_p99_ms_at_200_alone": float(np.percentile(paced.latencies, 99)),
        }

    @property
    def _paced(self) -> int:
        return int(_ASSIGN_RATE * self._plan.assign_seconds)

    def _one_assign(self, name: str, *, count: int, rate: float = 0, projected: bool = True) -> Assigned:
        self._report.note(f"{self._size:,} images: {count:,} proposals {name}")
        pace = Load(
            name=f"assign {name} {self._size}",
            count=count,
            rate=rate,
            behind=int((rate or 1_000) * _UNSEEN_SECONDS),
            duplicates=_USUAL_SHARE,
            projected=projected,
        )
        assigned = assign(self._wiring, self._roles, pace, corpus_size=self._size)
        self._report.figures["lost"] += assigned.undecided
        self._report.row(
            "from proposal in the log to decision readable",
            corpus=self._size,
            load=name,
            proposals=count,
            **_milliseconds(assigned.latencies),
            decisions_a_second=assigned.middle_rate,
            reference_ms=assigned.reference_ms,
            joined=assigned.joined,
            undecided=assigned.undecided,
            busy=assigned.busy,
        )
        self._report.row("CPU ms a decision", corpus=self._size, load=name, **_cells(assigned.cpu))
        self._report.flush()
        return assigned

    def _warm_up(self, kind: str) -> None:
        pace = Pace(
            name=f"warm-up {kind} {self._size}", duplicates=_USUAL_SHARE, rate=0, count=self._plan.warm_up, seconds=300
        )
        measure(self._wiring, self._roles, pace)

    def _idle(self) -> None:
        """What all of it costs while nothing comes."""
        self._report.note(f"{self._size:,} images: nothing comes")
        time.sleep(5)
        before = cpu_seconds(self._wiring.settings, self._roles)
        time.sleep(_IDLE_SECONDS)
        after = cpu_seconds(self._wiring.settings, self._roles)
        spent = {name: (after[name] - before[name]) / _IDLE_SECONDS * 1e3 for name in after}
        self._report.row("CPU ms a second while nothing comes", corpus=self._size, **_cells(spent))
        self._report.figures["idle_cpu_ms_per_second"] = sum(spent.values())
        self._report.flush()

    def _one(
        self,
        name: str,
        *,
        seconds: float,
        rate: float = 0,
        duplicates: float = _USUAL_SHARE,
        count: int = 10**9,
        copies_of_one: bool = False,
    ) -> Outcome:
        self._report.note(f"{self._size:,} images: {name}, {duplicates:.0%} duplicates")
        pace = Pace(
            name=f"{name} {self._size} {duplicates}",
            duplicates=duplicates,
            rate=rate,
            count=count,
            seconds=seconds,
            copies_of_one=copies_of_one,
        )
        outcome = measure(self._wiring, self._roles, pace)
        self._rows(name, 1.0 if copies_of_one else duplicates, outcome)
        return outcome

    def _rows(self, name: str, duplicates: float, outcome: Outcome) -> None:
        report, size = self._report, self._size
        report.figures["lost"] += outcome.lost
        report.figures["doubled"] += outcome.doubled
        report.row(
            "from both embeddings present to head readable",
            corpus=size,
            load=name,
            duplicates=duplicates,
            images=len(outcome.latencies),
            **_seconds(outcome.latencies),
            images_a_second=outcome.middle_rate,
            cpu_ms=sum(outcome.cpu.values()),
            reference_ms=outcome.reference_ms,
            joined=outcome.joined,
            clusters=outcome.clusters,
            lost=outcome.lost,
            doubled=outcome.doubled,
            busy=outcome.busy,
            producer_late_s=outcome.published.late_seconds,
        )
        for stage, spent in outcome.stages.items():
            report.row(
                "by stage, ms", corpus=size, load=name, duplicates=duplicates, stage=stage, **_milliseconds(spent)
            )
        report.row("CPU ms an image", corpus=size, load=name, duplicates=duplicates, **_cells(outcome.cpu))
        report.flush()

    def _figures_at_rate(self, outcome: Outcome) -> None:
        p50, p99 = np.percentile(outcome.latencies, (50, 99)).tolist()
        self._report.figures |= {"p50_seconds_at_50": p50 / 1e3, "p99_seconds_at_50": p99 / 1e3}


def _seconds(latencies: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> dict[str, Cell]:
    p50, p95, p99 = (np.percentile(latencies, (50, 95, 99)) / 1e3).tolist()
    return {"p50_s": p50, "p95_s": p95, "p99_s": p99}


def _milliseconds(spent: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> dict[str, Cell]:
    p50, p95, p99 = np.percentile(spent, (50, 95, 99)).tolist()
    return {"p50": p50, "p95": p95, "p99": p99}


def _cells(cpu: Mapping[str, float]) -> dict[str, Cell]:
    return {**cpu, "all": sum(cpu.values())}
