"""One of several processes that search as fast as the limit lets them: python -m tests.limit_process.

It reads its orders, says that it is ready, and reads the moment at which to start.

Nothing is searched. The moments at which each search would have been sent go to stdout, in seconds of the monotonic
clock, which is the same for all processes of a machine.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from neardup.clock import SystemClock
from neardup.errors import RateLimitedError
from neardup.lanes import LaneLimits
from neardup.redis import connect
from neardup.settings import RedisSettings
from neardup.telemetry import configure_logging
from neardup.testing import InMemoryIndex
from neardup.types import CandidateList, Probe
from query.limited import LimitedSearch
from query.limiter import SharedSearchLimiter
from query.redis_lanes import RedisLanes


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """`limit` and `processes`: of the lane. `batch`: probes a search. It ends after `searches`, or after `seconds`."""

    redis_url: str
    namespace: str
    limit: int
    processes: int
    batch: int
    searches: int
    seconds: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class RecordingSearch(InMemoryIndex):
    """Notes when each probe would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[float] = []

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        self.sent += [time.monotonic()] * len(probes)
        return [CandidateList.of((), searched_documents=0)] * len(probes)


def main() -> None:
    orders = Orders(**json.loads(sys.stdin.readline()))
    configure_logging()
    client = connect(RedisSettings(), orders.redis_url)
    limits = LaneLimits(ingest=orders.limit, interactive=1, reprocess=1, processes=orders.processes)
    limiter = SharedSearchLimiter(
        RedisLanes(client, orders.namespace), limits, timeout_seconds=RedisSettings().timeout_seconds
    )
    recording = RecordingSearch()
    search = LimitedSearch(recording, limiter, "ingest", clock=SystemClock())
    limiter.state()
    print("ready", flush=True)  # noqa: T201 - the other end of a pipe waits for it
    start_at = float(sys.stdin.readline())
    time.sleep(max(0.0, start_at - time.monotonic()))
    deadline = start_at + orders.seconds
    while (left := orders.searches - len(recording.sent)) > 0 and time.monotonic() < deadline:
        try:
            search.search([Probe(terms=())] * min(orders.batch, left), limit=200)
        except RateLimitedError as exc:
            time.sleep(exc.retry_after_seconds)
    client.close()
    json.dump(recording.sent, sys.stdout)


if __name__ == "__main__":
    main()
