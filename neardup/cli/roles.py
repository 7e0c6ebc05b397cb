"""Wires one role of the worker and runs it."""

import ctypes
import gc
import threading
from typing import Final

from neardup.cli.wiring import Wiring
from neardup.clock import SystemClock
from neardup.dead_letters import DeadLetterLimit, DeadLetters
from neardup.settings import Settings

__all__ = ["run_role"]

_COLLECT_AFTER: Final = 50_000, 20, 10
_KEPT_FREE: Final = 256 << 20
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def run_role(settings: Settings, role: str, name: str, stop: threading.Event) -> None:
    """Run a role until `stop` is set. Raises what ends it early."""
    # A batch of candidates is many small objects that die together. With Python's usual thresholds the collector goes
    # through everything else in the process meanwhile: 1.09 instead of 0.61 ms of CPU for a search.
    gc.set_threshold(*_COLLECT_AFTER)
    _keep_freed_memory()
    wiring = Wiring(settings)
    try:
        _RUN[role](wiring, f"{name}-{role}", stop)
    finally:
        wiring.close()


def _keep_freed_memory() -> None:
    """Embeddings of a batch are some tens of megabytes, several times. glibc gives such blocks back to the kernel at
    once and takes them again page by page: 250 page faults an image in the proposer, a fifth of its CPU."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # The second alone would make the first 128 kB for good.
    if mallopt is not None and mallopt(_M_MMAP_THRESHOLD, _KEPT_FREE):
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)


def _join(wiring: Wiring, instance_id: str, stop: threading.Event) -> None:
    from indexer.join_worker import JoinWorker
    from neardup.standing_log import KafkaStandingLog

    JoinWorker(
        wiring.kafka,
        wiring.topics,
        settings=wiring.settings.ingest,
        dimensions=wiring.dimensions,
        store=wiring.store,
        standing=KafkaStandingLog(wiring.kafka, wiring.topics, wait_ms=0),
        dead_letters=_dead_letters(wiring),
        clock=SystemClock(),
        instance_id=instance_id,
        stop=stop,
    ).run()


def _propose(wiring: Wiring, instance_id: str, stop: threading.Event) -> None:
    from graph.kafka_log import KafkaProposalLog
    from indexer.propose import ProposalRules, Proposer
    from indexer.propose_worker import ProposeWorker
    from neardup.backlog import BacklogReader

    search, ingest = wiring.settings.search, wiring.settings.ingest
    # A batch is permitted to be searched whole or not at all, so that nothing is searched twice.
    largest = wiring.search_limiter.largest_request("ingest")
    limited = wiring.search_in("ingest")
    proposer = Proposer(
        lsh=wiring.lsh,
        search=limited,
        scorer=wiring.scorer,
        clock=SystemClock(),
        rules=ProposalRules(
            candidate_limit=search.candidate_limit, minimum_overlap=search.minimum_overlap, probes=search.probes
        ),
    )
    ProposeWorker(
        wiring.kafka,
        wiring.topics,
        settings=ingest.model_copy(update={"batch_images": min(ingest.batch_images, largest)}),
        proposer=proposer,
        search=limited,
        proposals=KafkaProposalLog(wiring.kafka, wiring.topics),
        backlog=BacklogReader(wiring.kafka, wiring.topics),
        dead_letters=_dead_letters(wiring),
        instance_id=instance_id,
        stop=stop,
    ).run()


def _assign(wiring: Wiring, instance_id: str, stop: threading.Event) -> None:
    from graph.assigner_process import AssignerProcess
    from graph.outcome import AssignerRules

    settings = wiring.settings
    AssignerProcess(
        wiring.kafka,
        wiring.topics,
        dead_letters=_dead_letters(wiring),
        settings=settings.assign,
        rules=AssignerRules(
            lsh_version=wiring.lsh.version,
            minimum_overlap=settings.search.minimum_overlap,
            enough_members=settings.assign.enough_members,
            enough_exemplars=settings.assign.enough_exemplars,
            window=settings.assign.window,
            deeper_limit=settings.search.deeper_limit,
        ),
        store=wiring.store,
        search=wiring.search,
        scorer=wiring.scorer,
        clock=SystemClock(),
        instance_id=instance_id,
        stop=stop,
    ).run()


def _project(wiring: Wiring, instance_id: str, stop: threading.Event) -> None:
    from functools import partial

    from graph.cache_projection import CacheProjection
    from graph.heads_feed import HeadsFeed
    from graph.kafka_log import KafkaProposalLog
    from graph.projector_process import ProjectorProcess
    from indexer.index_projection import IndexProjection
    from neardup.cli.alarms import look_now_and_then

    ingest, every = wiring.settings.ingest, wiring.settings.alarm.every_seconds
    ProjectorProcess(
        wiring.kafka,
        wiring.topics,
        projections={
            "graph": lambda: wiring.store,
            "index": lambda: IndexProjection(
                wiring.index,
                wiring.unlimited_search,
                KafkaProposalLog(wiring.kafka, wiring.topics),
                lsh_version=wiring.lsh.version,
            ),
            "cache": lambda: CacheProjection(wiring.cache, wiring.store),
            "feed": lambda: HeadsFeed(wiring.kafka, wiring.topics),
            "history": lambda: wiring.history,
        },
        # Each step of the index ends in a refresh, which many images should share: the assigner's memory covers what
        # searches do not find yet. So does each step of the history, which people read. A step of the graph or of the
        # change feed is several requests, whatever it holds. The cache does not wait: it answers who is whose head.
        batches={"index": 2000, "history": 2000},
        linger_seconds={
            **dict.fromkeys(("index", "history"), ingest.index_linger_ms / 1000),
            **dict.fromkeys(("graph", "feed"), ingest.graph_linger_ms / 1000),
        },
        beside={"alarms": partial(look_now_and_then, wiring.suspicious_clusters, every)} if every else {},
        instance_id=instance_id,
        stop=stop,
    ).run()


def _dead_letters(wiring: Wiring) -> DeadLetters:
    ingest = wiring.settings.ingest
    limit = DeadLetterLimit(row=ingest.poison_limit, share=ingest.dead_letter_share)
    return DeadLetters(wiring.kafka, wiring.topics, limit=limit)


_RUN = {"join": _join, "propose": _propose, "assign": _assign, "project": _project}
