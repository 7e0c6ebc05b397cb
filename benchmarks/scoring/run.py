"""What is measured of scoring, and how it becomes figures."""

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import psutil

from benchmarks.made_up import copied, made_up
from benchmarks.report import Report, percentiles
from benchmarks.scoring.server import own_server
from benchmarks.scoring.wire_cost import wire_seconds_a_row
from neardup.types import PairBatch
from scorer.client import TensorFlowServingScorer
from scorer.groups import grouped
from scorer.layout import MODEL_FILE, newest_version, shipped_models
from scorer.network import AFTER_CONTENT
from scorer.runtime import OnnxModel

__all__ = ["Plan", "run"]

_CANDIDATES: Final = 200
_CHECKED: Final = 0.15
_LAID: Final = 0.25
"""What part of the candidates of real pictures has its points checked, and what part of these is then laid on the
probe: .155 and .252 of the candidates of 613 different pictures of 18 packages (docs/serving.md)."""
_RELATED: Final = 1.35
"""How far content may be from the probe's, for the points to be checked and nothing more."""
_MODEL_THREADS: Final = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`seconds` a measurement; `batches`: pairs in one call of `score`; `clients`: threads that call."""

    seconds: float
    batches: tuple[int, ...]
    clients: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of callers got done: rows a second, the time of each call, CPU seconds a row of all processes."""

    rows_per_second: float
    milliseconds: list[float]
    cpu_seconds_a_row: float


def run(report: Report, plan: Plan, *, endpoint: str | None, model_name: str, batch_rows: int) -> None:
    """Everything; the figures and rows go to `report`."""
    model = OnnxModel.load(shipped_models() / str(newest_version(shipped_models())) / MODEL_FILE)
    dimension = model.input_shapes["probe"][1]
    batches = {rows: pairs(rows, dimension) for rows in plan.batches}
    report.note("in process")
    _in_process(report, plan, model, batches)
    with own_server(endpoint) as server:
        report.note(f"over gRPC, {server.name}")
        with TensorFlowServingScorer(
            endpoint=server.endpoint, model_name=model_name, batch_rows=batch_rows, timeout_seconds=60
        ) as scorer:
            _over_grpc(report, plan, scorer, server.process, batches)
    _wire(report, batches[max(plan.batches)], batch_rows)
    for name, value in report.figures.items():
        report.row("figures", figure=name, value=float(value))


def pairs(rows: int, dimension: int) -> PairBatch:
    """Probes against 200 candidates each, as a worker sends them: embeddings of the precision that the index keeps."""
    rng = np.random.default_rng(rows)
    of_images, content = -(-rows // _CANDIDATES), dimension - AFTER_CONTENT
    seen = rng.normal(size=(of_images, content), scale=content**-0.5)
    probes = np.concatenate([seen, made_up(rng, of_images)], axis=1)
    repeated = np.repeat(probes, _CANDIDATES, axis=0)[:rows]
    # Most candidates have little in common with the probe; some are alike enough to have their points checked, and some
    # of these are copies.
    kind = rng.random((rows, 1))
    checked, copies = kind < _CHECKED, kind < _CHECKED * _LAID
    away = np.where(copies, 0.3, _RELATED)
    others = rng.normal(size=(rows, content), scale=content**-0.5)
    related = repeated[:, :content] + away * rng.normal(size=(rows, content), scale=content**-0.5)
    after = np.where(copies, copied(rng, repeated[:, content:], changed=0.1), made_up(rng, rows))
    candidates = np.concatenate([np.where(checked, related, others), after], axis=1)
    return PairBatch(
        probes=probes.astype(np.float16),
        candidates=candidates.astype(np.float16),
        probe_of=np.arange(rows) // _CANDIDATES,
        overlap=np.where(copies[:, 0], rng.integers(10, 64, rows), rng.integers(2, 5, rows)).astype(np.int32),
    )


def measured(
    plan: Plan, call: Callable[[], object], rows: int, *, callers: int, others: psutil.Process | None = None
) -> Load:
    """`callers` threads that do `call` again and again; `others`: another process whose CPU time counts."""
    call()
    times: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            begun = time.perf_counter()
            call()
            times.append((time.perf_counter() - begun) * 1000)

    with ThreadPoolExecutor(callers) as pool:
        begun, cpu = time.perf_counter(), _cpu(others)
        asking = [pool.submit(ask) for _ in range(callers)]
        stop.wait(plan.seconds)
        stop.set()
        for each in asking:
            each.result()
        seconds, cpu = time.perf_counter() - begun, _cpu(others) - cpu
    return Load(len(times) * rows / seconds, times, cpu / (len(times) * rows))


def _cpu(others: psutil.Process | None) -> float:
    found = others.cpu_times() if others else None
    return time.process_time() + (found.user + found.system if found else 0.0)


def _in_process(report: Report, plan: Plan, model: OnnxModel, batches: dict[int, PairBatch]) -> None:
    best = 0.0
    for rows, batch in batches.items():
        arrays, _ = grouped(batch)
        for threads in _MODEL_THREADS:
            load = measured(plan, partial(model.run, arrays), rows, callers=threads)
            _row(report, "in process", rows, threads, load)
            best = max(best, load.rows_per_second)
    report.figures["in_process_rows_per_second"] = best


def _over_grpc(
    report: Report,
    plan: Plan,
    scorer: TensorFlowServingScorer,
    process: psutil.Process | None,
    batches: dict[int, PairBatch],
) -> None:
    best: Load | None = None
    for rows, batch in batches.items():
        for clients in plan.clients:
            load = measured(plan, partial(scorer.score, batch), rows, callers=clients, others=process)
            _row(report, "over gRPC, client included", rows, clients, load)
            report.figures[f"grpc_rows_per_second_{rows}x{clients}"] = load.rows_per_second
            if best is None or load.rows_per_second > best.rows_per_second:
                best = load
    assert best is not None
    report.figures["grpc_rows_per_second"] = best.rows_per_second
    if process is not None:
        report.figures["grpc_cpu_microseconds_a_row"] = best.cpu_seconds_a_row * 1e6


def _wire(report: Report, batch: PairBatch, batch_rows: int) -> None:
    """The share of encoding and decoding, both sides, in all CPU time of a row over gRPC."""
    seconds = wire_seconds_a_row(batch, batch_rows=batch_rows, promising=_CHECKED)
    for part, value in seconds.items():
        report.row("encoding and decoding", part=part, cpu_ns_a_row=value * 1e9)
    total = report.figures.get("grpc_cpu_microseconds_a_row")
    if total is not None:
        report.figures["wire_cpu_share"] = sum(seconds.values()) * 1e6 / total


def _row(report: Report, table: str, rows: int, callers: int, load: Load) -> None:
    report.row(
        table,
        pairs=rows,
        callers=callers,
        rows_per_second=load.rows_per_second,
        mean_ms=statistics.mean(load.milliseconds),
        **percentiles(load.milliseconds),
        cpu_us_a_row=load.cpu_seconds_a_row * 1e6,
    )
