"""Named places between two steps of the path at which a process can be made to die, to prove that nothing is lost.

NEARDUP_CRASH_POINT=assign.after-commit:3 kills the process with SIGKILL when it passes that place the third time.
Without the variable a place costs one comparison. `benchmarks/resilience` kills at every one of them.
"""

import os
import signal
from typing import Final, Literal, get_args

from neardup.errors import ConfigError

__all__ = ["CRASH_POINTS", "VARIABLE", "CrashPoint", "arm", "crash_point", "parse"]

CrashPoint = Literal[
    "join.before-write",
    "join.after-images",
    "join.before-commit",
    "propose.after-search",
    "propose.after-score",
    "propose.after-append",
    "assign.after-fence",
    "assign.after-decide",
    "assign.after-send",
    "assign.after-commit",
    "project.graph-applied",
    "project.index-written",
    "project.index-refreshed",
    "project.cache-applied",
    "project.feed-sent",
]
"""`<role>.<place>`:

join: images are joined and not written; written, tombstones of late images are not; both are, offsets not committed.
propose: candidates are found and not scored; scored, no proposal made; proposals durable, offsets not committed.
assign: predecessors are fenced, the ledger is not read; decided, no transaction begun; entries sent, transaction not
committed; transaction committed, the group's offset not.
project: the graph has applied, its projector does not know; documents are written and not refreshed; refreshed, the
position is not recorded; the cache has applied; changes of the feed are durable, their position is not committed.
"""

CRASH_POINTS: Final[tuple[CrashPoint, ...]] = get_args(CrashPoint)
VARIABLE: Final = "NEARDUP_CRASH_POINT"


def parse(value: str) -> tuple[CrashPoint, int]:
    """`NAME:PASS`, as the variable has it. Raises ConfigError."""
    name, _, number = value.partition(":")
    for point in CRASH_POINTS:
        if point == name and number.isdecimal() and int(number) >= 1:
            return point, int(number)
    raise ConfigError(f"{VARIABLE}: {value!r} is not NAME:PASS; the names are {', '.join(CRASH_POINTS)}")


_armed: CrashPoint | None = None
_left = 0


def arm(value: str) -> None:
    """From now on as if the variable had this value. Raises ConfigError."""
    global _armed, _left
    _armed, _left = parse(value)


if VARIABLE in os.environ:
    arm(os.environ[VARIABLE])


def crash_point(name: CrashPoint) -> None:
    """Nothing, unless the process shall die here."""
    if name != _armed:
        return
    global _left  # noqa: PLW0603 - one a process
    _left -= 1
    if not _left:
        os.kill(os.getpid(), signal.SIGKILL)
