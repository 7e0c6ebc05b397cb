"""The server that is measured: one of the benchmark's own, or one that runs already."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

__all__ = ["Server", "own_server"]


@dataclass(frozen=True, slots=True)
class Server:
    """`process` is known of an own server only: the CPU time of another cannot be told."""

    name: str
    endpoint: str
    process: psutil.Process | None


@contextmanager
def own_server(endpoint: str | None) -> Iterator[Server]:
    """The server at `endpoint`; without one, an embedded PredictionService with the shipped model, for the block."""
    if endpoint is not None:
        yield Server(f"the PredictionService at {endpoint}", endpoint, None)
        return
    command = [sys.executable, "-m", "scorer.server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " on " not in line:
            raise RuntimeError("the embedded PredictionService did not start")
        try:
            yield Server("the embedded PredictionService", line.split()[-1], psutil.Process(process.pid))
        finally:
            process.terminate()
