"""The assigner by itself: proposals go into the log, as workers would have written them, and decisions come out.

Only the roles `assign` and `project` run. What a worker would have found by a search is known: which images are copies
of which. What the index would not have shown yet is left to the assigner's memory.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psutil
from kafka import TopicPartition

from benchmarks.ingest.images import corpus_copy, image_id, stream
from benchmarks.ingest.workers import Roles, cpu_seconds
from benchmarks.reference import Reference
from indexer.propose import ProposalRules, kept
from neardup.cli.drain import Drain
from neardup.cli.wiring import Wiring
from neardup.entries import Decision
from neardup.errors import UnavailableError
from neardup.messages import half
from neardup.records import decode_entry, encode_request
from neardup.types import ImageId, Match, PairBatch, Proposal, Source

__all__ = ["Assigned", "Load", "assign"]

_PART: Final = 5_000
_PATIENCE_SECONDS: Final = 300.0
_OVERLAP: Final = 30
_CUTOFF: Final = 1
"""Terms that the last of 200 candidates shares with a probe: in 10,000 images it is 1, in 200,000 1 or 2."""

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`count` proposals for the images of the stream `name`, `rate` a second or at once (0). `behind`: how many of the
    decisions before it each search did not see yet. `projected`: whether the projections are waited for."""

    name: str
    count: int
    rate: float
    behind: int
    duplicates: float
    projected: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """`latencies`: milliseconds from the proposal in the log, by the broker's clock, to the decision in the hands of a
    reader of what is committed; `middle_rate`: decisions a second while between a tenth and nine tenths came, of a load
    that comes at once from the moment on when all of it was in the log, so that its writer takes no part; `cpu`:
    milliseconds a decision by process, until every projection had it if they are waited for; `reference_ms`: of a fixed
    piece of work meanwhile, the median; `busy`: the part of the machine's cores that was busy, whoever with; `joined`:
    images that joined another's cluster; `undecided`: proposals that were not decided."""

    latencies: Times
    middle_rate: float
    cpu: dict[str, float]
    reference_ms: float
    busy: float
    joined: int
    undecided: int


def assign(wiring: Wiring, roles: Roles, load: Load, *, corpus_size: int) -> Assigned:
    """Put a load on roles that run."""
    drain = Drain(wiring.settings)
    try:
        first = drain.decisions()
        messages = [encode_request(one) for one in _proposals(wiring, load, first, corpus_size)]
        # A reader that looks often takes what the roles shall have; for a rate it need not.
        waits = {"fetch_max_wait_ms": 20} if load.rate else {"fetch_min_bytes": 512 * 1024, "fetch_max_wait_ms": 500}
        consumer = wiring.kafka.consumer(**waits)
        ledger = TopicPartition(wiring.topics.ledger, 0)
        consumer.assign([ledger])
        consumer.seek(ledger, consumer.end_offsets([ledger])[ledger])
        appended: dict[int, float] = {}
        sender = threading.Thread(target=_send, args=(wiring, load, messages, appended))
        psutil.cpu_percent()
        before = cpu_seconds(wiring.settings, roles)
        sender.start()
        reference = Reference()
        seen = _read(consumer, roles, load.count, reference)
        sender.join()
        if load.projected:
            _await_projections(drain, roles, first + len(seen))
        after = cpu_seconds(wiring.settings, roles)
        busy = psutil.cpu_percent() / 100
        consumer.close(autocommit=False)
    finally:
        drain.close()
    entries = [(moment, decode_entry(raw)) for moment, raw in seen]
    decisions = [(moment, entry) for moment, entry in entries if isinstance(entry, Decision)]
    moments = np.array([moment for moment, _ in decisions])
    low, high = len(moments) // 10, len(moments) * 9 // 10
    if not load.rate:
        low = min(high - 1, max(low, int(np.searchsorted(moments, max(appended.values())))))
    return Assigned(
        latencies=moments - np.array([appended[entry.proposal_offset] for _, entry in decisions]),
        middle_rate=float((high - low) / max(1e-9, moments[high] - moments[low]) * 1e3),
        cpu={name: (spent - before.get(name, 0.0)) / load.count * 1e3 for name, spent in after.items()},
        reference_ms=reference.median,
        busy=busy,
        joined=sum(entry.head != entry.image_id for _, entry in decisions),
        undecided=load.count - len(decisions),
    )


def _send(wiring: Wiring, load: Load, messages: list[bytes], appended: dict[int, float]) -> None:
    """`appended` gets when the broker had each, by offset."""
    producer = wiring.kafka.producer(linger_ms=0 if load.rate else 5, batch_size=256 * 1024)
    begun = time.monotonic()
    sent = []
    for number, message in enumerate(messages):
        if load.rate and (wait := begun + number / load.rate - time.monotonic()) > 0:
            time.sleep(wait)
        sent.append(producer.send(wiring.topics.proposals, key=b"", value=message, partition=0))
    producer.flush(timeout=60)
    for one in sent:
        written = one.get(timeout=30)
        appended[written.offset] = written.timestamp
    producer.close(timeout=10)


def _read(consumer: Any, roles: Roles, count: int, reference: Reference) -> list[tuple[float, bytes]]:
    """The next entries, each with the moment at which it was there."""
    seen: list[tuple[float, bytes]] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(seen) < count and time.monotonic() < deadline:
        reference.look()
        for records in consumer.poll(timeout_ms=100, max_records=5_000).values():
            now = time.time() * 1e3
            seen += [(now, record.value) for record in records]
        roles.check()
    return seen


def _await_projections(drain: Drain, roles: Roles, seq: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    applied = 0
    while applied < seq and time.monotonic() < deadline:
        roles.check()
        time.sleep(0.25)
        # An engine that is too busy to answer is asked again.
        with suppress(UnavailableError):
            applied = min(drain.applied().values())


def _proposals(wiring: Wiring, load: Load, first: int, corpus_size: int) -> Iterator[Proposal]:
    rules = ProposalRules(candidate_limit=0, minimum_overlap=wiring.settings.search.minimum_overlap, probes=0)
    rng = np.random.default_rng([load.count, *load.name.encode()])
    one = np.zeros((1, wiring.dimensions[1]), dtype=np.float32)
    model_version = wiring.scorer.score(
        PairBatch.of_pairs(probes=one, candidates=one, overlap=np.ones(1, dtype=np.int32))
    ).model_version
    calibration = wiring.scorer.calibration(model_version)
    for number, (name, family, lsh, score) in enumerate(_images(load)):
        near = [
            Match(image_id=other, overlap=_OVERLAP, score=0.99 + 0.001 * rng.random())
            for at, other in family
            if at < number - load.behind
        ]
        far = [
            Match(
                image_id=image_id("corpus", int(row)),
                overlap=rules.minimum_overlap + int(rng.integers(3)),
                score=0.02 * rng.random(),
            )
            for row in rng.integers(corpus_size, size=max(0, rules.kept_matches - len(near)))
        ]
        matches = sorted([*near, *far], key=lambda match: -match.score)[: rules.kept_matches]
        yield Proposal(
            image_id=name,
            version=0,
            run=0,
            query=wiring.lsh.query_codes(lsh[None], probes=wiring.settings.search.probes)[0],
            score=half(score),
            metadata={"source": "benchmark"},
            searched_seq=first + max(0, number - load.behind),
            candidate_limit=wiring.settings.search.candidate_limit,
            cutoff_overlap=_CUTOFF,
            matches=kept(tuple(matches), calibration.witness_bound, rules),
            match_threshold=calibration.match_threshold,
            witness_bound=calibration.witness_bound,
            head_bound=calibration.head_bound,
            lsh_version=wiring.lsh.version,
            model_version=model_version,
            source=Source(topic=wiring.topics.images, partition=0, offset=number),
            at_ms=int(time.time() * 1000),
        )


def _images(load: Load) -> Iterator[tuple[ImageId, list[tuple[int, ImageId]], Any, Any]]:
    """Each image with those before it that are copies of the same one, and their places in the load (-1e9: the
    corpus), and its two embeddings."""
    ever = -(10**9)
    families: dict[tuple[int, int], list[tuple[int, ImageId]]] = defaultdict(list)
    for number in range(load.count):
        part, row = divmod(number, _PART)
        if row == 0:
            images = stream(load.name, part, _PART, duplicates=load.duplicates)
        name, parent = image_id(load.name, number), int(images.parents[row])
        # Of the corpus, or of the row of this part that it is a copy of, or of itself.
        root = (-1, parent) if parent >= 0 else (part, row if parent == -1 else -2 - parent)
        family = families[root]
        if parent >= 0 and not family:
            family += [(ever, image_id("corpus", one)) for one in (parent, corpus_copy(parent)) if one is not None]
        yield name, list(family), images.lsh[row], images.score[row]
        family.append((number, name))
