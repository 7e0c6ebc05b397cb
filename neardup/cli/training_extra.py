"""TensorFlow, which only training and export need, comes with an extra of the package."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from neardup.errors import ConfigError

__all__ = ["needing_tensorflow"]


@contextmanager
def needing_tensorflow(what: str) -> Iterator[None]:
    """Around an import that needs it. Raises ConfigError where it is not installed; `what` needs it."""
    # TensorFlow would speak of missing GPUs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        yield
    except ModuleNotFoundError as exc:
        if exc.name not in {"keras", "tensorflow"}:
            raise
        raise ConfigError(f"{what} needs TensorFlow, which is not installed: pip install neardup[train]") from exc
