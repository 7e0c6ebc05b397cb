"""The embedded PredictionService as a child process, for tests."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


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
