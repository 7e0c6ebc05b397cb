"""The embedded PredictionService as a child process, for tests."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neardup.types import PairBatch
from scorer.network import AFTER_CONTENT


@dataclass(frozen=True)
class PredictionServer:
    """A running server."""

    process: subprocess.Popen[str]
    endpoint: str


@contextmanager
def prediction_server(
    *, port: int = 0, model_dir: Path | None = None, options: Sequence[str] = ()
) -> Iterator[PredictionServer]:
    """Runs until the block ends; a line of output says that it is ready."""
    command = [sys.executable, "-m", "scorer.server", "--port", str(port), *options]
    if model_dir is not None:
        command += ["--model-dir", str(model_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("neardup version "):
                break
        else:
            raise RuntimeError(said)
        try:
            yield PredictionServer(process, line.split()[-1])
        finally:
            process.kill()


def some_pairs(count: int, *, alike: float = 1.0) -> PairBatch:
    """Random ones, 200 of a probe. `alike`: what part of them has signs in common, so that all else is looked at."""
    rng = np.random.default_rng(count)
    probes, candidates = (rng.normal(size=(rows, 1055), scale=0.05) for rows in (-(-count // 200), count))
    unlike = rng.random(count) >= alike
    candidates[unlike, -AFTER_CONTENT:] = 2047 * rng.integers(0, 2, (unlike.sum(), AFTER_CONTENT))
    return PairBatch(
        probes=probes.astype(np.float16),
        candidates=candidates.astype(np.float16),
        probe_of=np.arange(count) // 200,
        overlap=np.ones(count, np.int32),
    )
