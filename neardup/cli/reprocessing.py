"""Images that were decided, searched and scored again and handed to the assigner once more."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from neardup.cli.wiring import Wiring
from neardup.clock import SystemClock
from neardup.entries import Decision
from neardup.errors import RateLimitedError, UnavailableError
from neardup.folding import read_all
from neardup.types import Image, ImageId, Placement, Proposal, Source

__all__ = ["Reprocessing"]

_PAUSE_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0
_IDS_AT_ONCE = 1_000

_T = TypeVar("_T")


class Reprocessing:
    """Of one namespace, in the lane `reprocess` of the search limit. All methods raise UnavailableError."""

    def __init__(self, wiring: Wiring, *, say: Callable[[str], None]) -> None:
        from graph.kafka_log import KafkaLedger, KafkaProposalLog
        from indexer.kafka_images import KafkaImages
        from indexer.propose import ProposalRules, Proposer
        from neardup.backlog import BacklogReader

        settings = wiring.settings
        self._wiring = wiring
        self._say = say
        self._ledger = KafkaLedger(wiring.kafka, wiring.topics)
        self._proposals = KafkaProposalLog(wiring.kafka, wiring.topics)
        self._images = KafkaImages(wiring.kafka, wiring.topics, partitions=settings.kafka.partitions)
        self._backlog = BacklogReader(wiring.kafka, wiring.topics)
        self._search = wiring.search_in("reprocess")
        self._batch = min(settings.ingest.batch_images, wiring.search_limiter.largest_request("reprocess"))
        self._proposer = Proposer(
            lsh=wiring.lsh,
            search=self._search,
            scorer=wiring.scorer,
            clock=SystemClock(),
            rules=ProposalRules(
                candidate_limit=settings.search.candidate_limit,
                minimum_overlap=settings.search.minimum_overlap,
                probes=settings.search.probes,
            ),
        )

    def choose(
        self, *, ids: Collection[ImageId] | None, time_range: tuple[int, int] | None, model_version: int | None
    ) -> set[ImageId]:
        """The images whose last automatic decision fits. `time_range`: in milliseconds, the end excluded."""
        last = {
            entry.image_id: entry
            for entry in read_all(self._ledger)
            if isinstance(entry, Decision) and entry.evidence is not None
        }

        def fits(decision: Decision) -> bool:
            by_time = time_range is None or time_range[0] <= decision.at_ms < time_range[1]
            evidence = decision.evidence
            by_model = model_version is None or (evidence is not None and evidence.model_version == model_version)
            return by_time and by_model and (ids is None or decision.image_id in ids)

        return {image_id for image_id, decision in last.items() if fits(decision)}

    def run(self, chosen: Collection[ImageId], *, source: str | None, dry_run: bool, wait: bool) -> dict[str, Any]:
        """Search and score these images, those of this source; then send them, or say what would come of it."""
        done, moves, sent = 0, list[dict[str, Any]](), dict[ImageId, int]()
        decide = self._dry_assigner() if dry_run else None
        for batch in self._batches(set(chosen), source):
            proposals = self._patiently(partial(self._proposer.propose, batch))
            if decide is not None:
                moves += decide(proposals)
            else:
                self._patiently(self._wait_for_room)
                self._proposals.append(proposals)
                sent |= {proposal.image_id: proposal.run for proposal in proposals}
            done += len(proposals)
            self._say(f"{done} of at most {len(chosen)} images")
        if wait and sent:
            self._wait(sent)
        return {"images": done, "dry_run": dry_run, "moves": moves}

    def _batches(self, chosen: set[ImageId], source: str | None) -> Iterator[list[tuple[Source, Image]]]:
        """The kept images of the decided version, each once, with the next run."""
        waiting: list[tuple[Source, Image]] = []
        for image_id, kept in self._images.all():
            if image_id in chosen and kept is not None and (source is None or kept[1].metadata.get("source") == source):
                waiting.append(kept)
            if len(waiting) >= _IDS_AT_ONCE:
                yield from self._current(waiting, chosen)
                waiting = []
        yield from self._current(waiting, chosen)

    def _current(
        self, kept: Sequence[tuple[Source, Image]], chosen: set[ImageId]
    ) -> Iterator[list[tuple[Source, Image]]]:
        placements = self._wiring.store.placements([image.image_id for _, image in kept])
        fresh: list[tuple[Source, Image]] = []
        for source, image in kept:
            placed: Placement | None = placements.get(image.image_id)
            if placed is not None and placed.version == image.version and image.image_id in chosen:
                chosen.discard(image.image_id)
                fresh.append((source, replace(image, run=placed.run + 1)))
        for start in range(0, len(fresh), self._batch):
            yield fresh[start : start + self._batch]

    def _dry_assigner(self) -> Callable[[Sequence[Proposal]], list[dict[str, Any]]]:
        """The real rules over the real clusters; nothing is appended."""
        from graph.assigner import Assigner
        from graph.outcome import AssignerRules
        from graph.recent import RecentImages
        from graph.restore import Past
        from graph.standing import Standing
        from neardup.standing_log import KafkaStandingLog

        wiring, settings = self._wiring, self._wiring.settings
        words = KafkaStandingLog(wiring.kafka, wiring.topics)
        try:
            standing = Standing(words.changes())
        finally:
            words.close()
        tail = self._ledger.tail(1)
        window = settings.assign.window
        recent = RecentImages(capacity=window)
        assigner = Assigner(
            store=wiring.store,
            search=self._search,
            scorer=wiring.scorer,
            rules=AssignerRules(
                lsh_version=wiring.lsh.version,
                minimum_overlap=settings.search.minimum_overlap,
                enough_members=settings.assign.enough_members,
                enough_exemplars=settings.assign.enough_exemplars,
                window=window,
                # What would be searched deeper is shown as it stands.
                deeper_limit=settings.search.candidate_limit,
            ),
            past=Past(last=tail[-1][0], recent=recent) if tail else Past(recent=recent),
            standing=standing,
            clock=SystemClock(),
        )

        def decide(proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
            moves: list[dict[str, Any]] = []
            batch = list(enumerate(proposals))
            while batch:
                outcome = self._patiently(partial(assigner.decide, batch))
                for entry in outcome.entries:
                    if isinstance(entry, Decision) and entry.previous_cluster is not None:
                        to = None if entry.head == entry.image_id else entry.cluster_id
                        matches = [match.image_id for match in entry.matches[:3]]
                        moves.append(
                            {
                                "image_id": entry.image_id,
                                "from": entry.previous_cluster,
                                "to": to,
                                "rule": entry.rule,
                                "matches": matches,
                            }
                        )
                batch = [one for one in batch if one[0] >= outcome.next_offset]
            return moves

        return decide

    def _wait_for_room(self) -> None:
        behind = self._backlog.undecided() + self._backlog.unapplied(self._search.position())
        if behind > self._wiring.settings.ingest.backlog_limit // 2:
            raise UnavailableError(f"{behind} proposals are not decided and indexed yet")

    def _wait(self, sent: dict[ImageId, int]) -> None:
        left = dict(sent)
        while left:
            placements = self._wiring.store.placements(list(left)[:_IDS_AT_ONCE])
            decided = [i for i, placed in placements.items() if placed.run >= left[i]]
            for image_id in decided:
                del left[image_id]
            self._say(f"{len(sent) - len(left)} of {len(sent)} decided")
            time.sleep(0 if decided else _PAUSE_SECONDS)

    def _patiently(self, work: Callable[[], _T]) -> _T:
        """Try until the lane has room and the engines answer. Raises UnavailableError after a long while."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return work()
            except RateLimitedError as exc:
                time.sleep(exc.retry_after_seconds)
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        for part in (self._ledger, self._proposals, self._images, self._backlog):
            part.close()
