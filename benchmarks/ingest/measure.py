"""One load on the running product: rate, latency by stage, CPU by process, and whether every image came out once."""

import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.ingest.images import image_id
from benchmarks.ingest.producer import Pace, Published, produce
from benchmarks.ingest.watching import Watch
from benchmarks.ingest.workers import Roles, cpu_seconds
from benchmarks.reference import Reference
from neardup.cli.drain import Drain
from neardup.cli.wiring import Wiring
from neardup.logs import PartitionReader
from neardup.types import ImageId

__all__ = ["Outcome", "measure"]

_PATIENCE_SECONDS = 600.0
_ASKED_AT_ONCE = 500
_CHECK_SECONDS = 0.5

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`stages`: milliseconds each image spent in each stage; `seconds`: from the first image present to the last
    readable; `middle_rate`: images a second while between a tenth and nine tenths were readable; `cpu`: milliseconds of
    an image by process; `reference_ms`: of a fixed piece of work meanwhile, the median; `busy`: the part of the
    machine's cores that was busy, whoever with; `lost`: images that were not decided, or whose head a reader is not
    told; `doubled`: decisions beyond the first of the same image and version; `joined`: images that joined another's
    cluster."""

    published: Published
    latencies: Times
    stages: dict[str, Times]
    seconds: float
    middle_rate: float
    cpu: dict[str, float]
    reference_ms: float
    busy: float
    lost: int
    doubled: int
    clusters: int
    joined: int


def measure(wiring: Wiring, roles: Roles, pace: Pace) -> Outcome:
    """Send the images of `pace` to roles that run, and wait until they are readable everywhere."""
    context = get_context("spawn")
    readable = context.Value("q", 0)
    ours, theirs = context.Pipe()
    servers = wiring.settings.kafka.bootstrap_servers
    assert servers
    producer = context.Process(target=produce, args=(wiring.settings, servers, pace, readable, theirs), daemon=True)
    producer.start()
    # So that a producer that dies is noticed.
    theirs.close()
    assert ours.recv() == "ready"
    drain = Drain(wiring.settings)
    first = drain.decisions()
    drain.close()
    starts = _ends(wiring)
    watch = Watch(wiring, first_seq=first, readable=readable)
    with watch:
        psutil.cpu_percent()
        before = cpu_seconds(wiring.settings, roles)
        ours.send("go")
        reference = Reference()
        while not ours.poll(_CHECK_SECONDS):
            roles.check()
            reference.look()
        published: Published = ours.recv()
        _settle(watch, roles, len(published.present_ms))
        after = cpu_seconds(wiring.settings, roles)
        busy = psutil.cpu_percent() / 100
        producer.join(30)
    cpu = {name: spent - before.get(name, 0.0) for name, spent in after.items()}
    return _outcome(wiring, pace, watch, published, starts=starts, cpu=cpu, reference=reference.median, busy=busy)


def _settle(watch: Watch, roles: Roles, count: int) -> None:
    """Return when so many decisions have been made and applied, or when nothing more comes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    seen, since = -1, time.monotonic()
    while watch.applied() < count and time.monotonic() < deadline:
        roles.check()
        if watch.seen != seen:
            seen, since = watch.seen, time.monotonic()
        elif time.monotonic() - since > 60:
            return
        time.sleep(0.05)


def _outcome(
    wiring: Wiring,
    pace: Pace,
    watch: Watch,
    published: Published,
    *,
    starts: dict[tuple[str, int], int],
    cpu: dict[str, float],
    reference: float,
    busy: float,
) -> Outcome:
    ids = [image_id(pace.name, row) for row in range(len(published.present_ms))]
    decided = {decision.image_id: decision for decision in watch.decisions}
    counts = Counter((decision.image_id, decision.version, decision.run) for decision in watch.decisions)
    known = [name for name in ids if name in decided]
    present = np.array([published.present_ms[row] for row, name in enumerate(ids) if name in decided], dtype=float)
    seqs = np.array([decided[name].seq for name in known], dtype=np.int64)
    proposed = np.array([decided[name].at_ms for name in known], dtype=float)
    written = _written(wiring, starts)
    joined = np.array([written[name] for name in known], dtype=float)
    ledger, cache = watch.decided.when(seqs), watch.lines["cache"].when(seqs)
    stages = {
        "join": joined - present,
        "wait, search, score": proposed - joined,
        "append, decide": ledger - proposed,
        "cache": cache - ledger,
        "graph": watch.lines["graph"].when(seqs) - ledger,
        "index": watch.lines["index"].when(seqs) - ledger,
    }
    ordered = np.sort(cache)
    low, high = len(ordered) // 10, len(ordered) * 9 // 10
    heads = _heads(wiring, ids)
    wrong = sum(1 for name in ids if name not in decided or heads.get(name) != decided[name].head)
    return Outcome(
        published=published,
        latencies=cache - present,
        stages=stages,
        seconds=float(ordered[-1] - present.min()) / 1e3,
        middle_rate=float((high - low) / max(1e-9, ordered[high] - ordered[low]) * 1e3),
        cpu={name: spent / len(ids) * 1e3 for name, spent in cpu.items()},
        reference_ms=reference,
        busy=busy,
        lost=wrong,
        doubled=sum(count - 1 for count in counts.values()),
        clusters=len({decided[name].cluster_id for name in known}),
        joined=sum(1 for name in known if decided[name].head != name),
    )


def _heads(wiring: Wiring, ids: list[ImageId]) -> dict[ImageId, ImageId]:
    """Through the head look-up, as a reader asks; and the graph must say the same."""
    heads: dict[ImageId, ImageId] = {}
    for start in range(0, len(ids), _ASKED_AT_ONCE):
        some = ids[start : start + _ASKED_AT_ONCE]
        cached, stored = wiring.heads.placements(some), wiring.store.placements(some)
        heads |= {name: cached[name].head for name in some if name in cached and cached[name] == stored.get(name)}
    return heads


def _ends(wiring: Wiring) -> dict[tuple[str, int], int]:
    topic = wiring.topics.images
    ends = {}
    for number in range(wiring.settings.kafka.partitions):
        reader = PartitionReader(wiring.kafka, topic, number)
        ends[topic, number] = reader.end()
        reader.close()
    return ends


def _written(wiring: Wiring, starts: dict[tuple[str, int], int]) -> dict[ImageId, int]:
    """When the join first wrote each image."""
    moments: dict[ImageId, int] = {}
    for (topic, number), start in starts.items():
        reader = PartitionReader(wiring.kafka, topic, number)
        offset = start
        while records := reader.read(offset, 2000):
            for record in records:
                moments.setdefault(ImageId(record.key.decode()), record.timestamp)
            offset = records[-1].offset + 1
        reader.close()
    return moments
