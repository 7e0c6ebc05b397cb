"""One role of the worker, in a process that is forked from one which has imported everything already.

The start of Python and its imports would take most of the time of the soak. Nothing else is shared: the process opens
its own connections and runs what `neardup worker --role` runs.
"""

import os
import sys
from typing import Final

from neardup.cli.main import main
from neardup.crashpoints import arm

__all__ = ["PRELOADED", "run"]

PRELOADED: Final = (
    "benchmarks.resilience.role",
    "graph.assigner_process",
    "graph.heads_feed",
    "graph.projector_process",
    "graph.redis_cache",
    "indexer.index_projection",
    "indexer.join_worker",
    "indexer.opensearch_index",
    "indexer.propose_worker",
    "neardup.cli.builtin",
    "neardup.cli.roles",
    "neardup.embedder.default",
    "neardup.embedder.fence",
    "neardup.telemetry",
    "query.limited",
    "query.limiter",
    "query.opensearch",
    "query.redis_lanes",
    "scorer.client",
)
"""What the roles import when they run."""


def run(role: str, name: str, variables: dict[str, str], crash_point: str | None, log: str) -> None:
    """Be `neardup worker --role ROLE --name NAME` with these settings; what it says is appended to `log`."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), sys.stderr.fileno())
    os.environ.update(variables)
    if crash_point is not None:
        arm(crash_point)
    sys.argv = ["neardup", "worker", "--role", role, "--name", name, "--parent", str(os.getppid())]
    main()
