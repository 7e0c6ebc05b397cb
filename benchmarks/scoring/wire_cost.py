"""What encoding and decoding cost, alone in one thread: the functions of client and server, without sending anything."""

import time
from collections.abc import Callable

from neardup.types import PairBatch

import numpy as np
from scorer import wire

__all__ = ["wire_seconds_a_row"]


def wire_seconds_a_row(batch: PairBatch, batch_rows: int) -> dict[str, float]:
    """CPU seconds a pair, by part."""
    rows = min(batch_rows, len(batch.probes))
    part = slice(0, rows)

    def build() -> bytes:
        request = wire.PREDICT.request()
        request.model_spec.name = "neardup"
        arrays = (batch.probes[part], batch.candidates[part], batch.overlap[part, None].astype(np.float32))
        for name, array in zip(wire.INPUTS, arrays, strict=True):
            wire.tensor_of(array, request.inputs[name])
        return wire.PREDICT.encode_request(request)

    sent = build()

    def parse():
        request = wire.PREDICT.request.FromString(sent)
        return {name: wire.array_of(request.inputs[name]) for name in request.inputs}

    return {"encode request": _cpu(build) / rows, "decode request": _cpu(parse) / rows}


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one run, the best of several."""
    best = float("inf")
    for _ in range(30):
        begun = time.thread_time()
        work()
        best = min(best, time.thread_time() - begun)
    return best
