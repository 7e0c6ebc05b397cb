"""Logging: structured events on stderr, readable on a terminal, one JSON object a line elsewhere."""

import logging
import sys
import time
from collections.abc import Callable

import structlog

__all__ = ["Seldom", "configure_logging"]

_QUIET_SECONDS = 10.0


class Seldom(logging.Filter):
    """Lets the same message of a library through at most once in `seconds`: while a broker is away, a client says so
    hundreds of times a second. Those from the same line of code are the same."""

    def __init__(self, seconds: float = _QUIET_SECONDS, *, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._now = now
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Also puts into the message how often it was held back before."""
        place = (record.pathname, record.lineno)
        now = self._now()
        said, held_back = self._said.get(place, (float("-inf"), 0))
        if now - said < self._seconds:
            self._said[place] = (said, held_back + 1)
            return False
        self._said[place] = (now, 0)
        if held_back:
            record.msg, record.args = f"{record.getMessage()} (and {held_back} times more before)", None
        return True


def configure_logging(*, verbose: bool = True) -> None:
    """Send structlog's events and the libraries' warnings to stderr; quiet keeps warnings only."""
    level = logging.INFO if verbose else logging.WARNING
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    seldom = Seldom()
    handler.addFilter(lambda record: not record.name.startswith("kafka.") or seldom.filter(record))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("kafka", "opensearch", "urllib3", "gremlinpython", "elastic_transport"):
        logging.getLogger(noisy).setLevel(logging.ERROR if noisy == "kafka" else logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
