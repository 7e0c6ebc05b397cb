"""What encoding and decoding cost: the functions of client and server in one thread, without anything being sent."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from neardup.types import PairBatch
from scorer import wire
from scorer.groups import grouped
from scorer.network import LATER
from scorer.tensors import decode_request, encode_request

__all__ = ["wire_seconds_a_row"]


def wire_seconds_a_row(batch: PairBatch, *, batch_rows: int, promising: float) -> dict[str, float]:
    """CPU seconds a pair, by part, of both questions in which the client asks for many pairs, as large as it makes
    requests of at most `batch_rows` pairs. `promising`: what part of the pairs the second one is about."""
    heads = replace(batch, probes=batch.probes[:, :-LATER], candidates=batch.candidates[:, :-LATER])
    first = _parts(wire.FIRST_SIGHT, heads.part(slice(2 * batch_rows)))
    second = _parts(wire.SIGNATURE, batch.part(slice(batch_rows // 2)))
    return {part: first[part] + promising * second[part] for part in first}


def _parts(signature: str, batch: PairBatch) -> dict[str, float]:
    """CPU seconds a pair of one question."""
    spec = wire.message_class("tensorflow.serving.ModelSpec")(name="neardup", signature_name=signature)
    scores = np.linspace(0, 1, len(batch), dtype=np.float32)

    def answer() -> bytes:
        response = wire.PREDICT.response()
        for name in wire.OUTPUTS[signature]:
            wire.tensor_of(scores, response.outputs[name])
        encoded: bytes = response.SerializeToString()
        return encoded

    def asked() -> bytes:
        return encode_request(spec, grouped(batch)[0])

    def answered() -> list[Any]:
        found = wire.PREDICT.decode_response(response).outputs
        return [wire.array_of(found[name]) for name in wire.OUTPUTS[signature]]

    request, response = asked(), answer()
    parts: dict[str, Callable[[], object]] = {
        "encode request": asked,
        "decode request": lambda: decode_request(request),
        "encode response": answer,
        "decode response": answered,
    }
    return {part: _cpu_seconds(work) / len(batch) for part, work in parts.items()}


def _cpu_seconds(work: Callable[[], object], times: int = 100) -> float:
    """CPU seconds of one run, in the mean: what a fresh buffer costs counts too."""
    work()
    begun = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun) / times
