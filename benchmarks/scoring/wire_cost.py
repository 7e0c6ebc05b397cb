"""What encoding and decoding cost: the functions of client and server in one thread, without anything being sent."""

import time
from collections.abc import Callable

import numpy as np

from neardup.types import PairBatch
from scorer import wire
from scorer.groups import grouped
from scorer.tensors import decode_request, encode_request

__all__ = ["wire_seconds_a_row"]


def wire_seconds_a_row(batch: PairBatch, batch_rows: int) -> dict[str, float]:
    """CPU seconds a pair, by part, for requests of at most `batch_rows` pairs."""
    rows = min(batch_rows, len(batch))
    part = batch.part(slice(rows))
    spec = wire.message_class("tensorflow.serving.ModelSpec")(name="neardup", signature_name=wire.SIGNATURE)
    scores = np.linspace(0, 1, rows, dtype=np.float32)

    def answer() -> bytes:
        response = wire.PREDICT.response()
        wire.tensor_of(scores, response.outputs[wire.OUTPUT])
        encoded: bytes = response.SerializeToString()
        return encoded

    def asked() -> bytes:
        return encode_request(spec, grouped(part)[0])

    request, response = asked(), answer()
    parts: dict[str, Callable[[], object]] = {
        "encode request": asked,
        "decode request": lambda: decode_request(request),
        "encode response": answer,
        "decode response": lambda: wire.array_of(wire.PREDICT.decode_response(response).outputs[wire.OUTPUT]),
    }
    return {part: _cpu_seconds(work) / rows for part, work in parts.items()}


def _cpu_seconds(work: Callable[[], object], times: int = 100) -> float:
    """CPU seconds of one run, in the mean: what a fresh buffer costs counts too."""
    work()
    begun = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun) / times
