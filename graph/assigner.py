"""The assigner: proposals in, decisions out, in one order. Deterministic: the same proposals give the same ledger.

Search covers the decisions up to a proposal's `searched_seq`; `RecentImages` covers every one after it, so images that
arrive together meet whatever the index shows. Where older images are is read from the graph, under the decisions that
the graph has not applied yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graph.assignment import Assignment, PlacedMatch, assign
from graph.recent import RecentImages, RecentPlacements, Remembered
from neardup.errors import (
    ClusterStoreUnavailableError,
    IncompatibleIndexError,
    SearchUnavailableError,
    UnavailableError,
)
from neardup.lsh import overlaps
from neardup.ports import CandidateSearch, ClusterStore, PairScorer
from neardup.types import (
    ClusterId,
    ClusterInfo,
    Decision,
    ImageId,
    Match,
    PairBatch,
    Placement,
    Position,
    Proposal,
    Scores,
)

__all__ = ["Assigner", "AssignerRules", "Outcome"]

_KEPT_MATCHES = 10
_BEFORE, _NOT_INDEXED = -1, -2


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignerRules:
    """`window`: recent decisions that the graph may lag behind; `enough_members`, `enough_exemplars`: see
    `graph.assignment.assign`."""

    lsh_version: str
    minimum_overlap: int
    enough_members: int
    enough_exemplars: int
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a batch comes to. `requeue`: proposals to be searched again, older than the memory or scored by another
    model version than the one served now. `next_offset`: where to go on; an engine that fails in the middle of a batch
    ends it early."""

    decisions: tuple[Decision, ...]
    requeue: tuple[Proposal, ...]
    next_offset: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Item:
    """A proposal with the recent images it shares terms with. `earlier`: for each, its offset if it is decided in this
    very batch, else `_BEFORE`."""

    offset: int
    proposal: Proposal
    recent: tuple[Remembered, ...]
    earlier: tuple[int, ...]


class _OtherModelError(Exception):
    """The scorer now serves another model version than the one the proposal was scored by."""


class Assigner:
    """Decides. Built on a graph that has applied the ledger up to `last`; `recent` holds the last decided images."""

    def __init__(
        self,
        *,
        store: ClusterStore,
        search: CandidateSearch,
        scorer: PairScorer,
        rules: AssignerRules,
        last: Position,
        recent: RecentImages,
    ) -> None:
        self._store = store
        self._search = search
        self._scorer = scorer
        self._rules = rules
        self._seq = last.seq
        self._recent = recent
        self._placed = RecentPlacements()

    def decide(self, batch: Sequence[tuple[int, Proposal]]) -> Outcome:
        """Decide proposals, given with their offsets, in order; append the outcome before the next call.

        A proposal not above the decided (version, run) of its image comes to nothing. Raises UnavailableError when not
        even the first could be decided (try again), IncompatibleIndexError.
        """
        self._check(batch)
        self._forget_applied()
        items = self._plan(batch)
        scores = self._score(items)
        matches = _recent_matches(items, scores)
        self._load(items, matches)

        decisions: list[Decision] = []
        requeue: list[Proposal] = []
        decided: dict[ImageId, int] = {}
        for item, recent_matches in zip(items, matches, strict=True):
            proposal = item.proposal
            was = self._placement(proposal.image_id)
            if was is not None and (proposal.version, proposal.run) <= (was.version, was.run):
                continue
            if proposal.searched_seq < self._recent.since:
                requeue.append(proposal)
                continue
            try:
                merged = self._merge(item, recent_matches, decided, scores.model_version)
                decision = self._decide(item, merged, was)
            except _OtherModelError:
                requeue.append(proposal)
                continue
            except UnavailableError:
                if not decisions and not requeue:
                    raise
                return Outcome(decisions=tuple(decisions), requeue=tuple(requeue), next_offset=item.offset)
            self._remember(decision, proposal, was)
            decided[proposal.image_id] = item.offset if decision.indexed else _NOT_INDEXED
            decisions.append(decision)
        return Outcome(decisions=tuple(decisions), requeue=tuple(requeue), next_offset=batch[-1][0] + 1)

    def _check(self, batch: Sequence[tuple[int, Proposal]]) -> None:
        for offset, proposal in batch:
            if proposal.lsh_version != self._rules.lsh_version:
                raise IncompatibleIndexError(
                    f"the proposal at offset {offset} has lsh_version {proposal.lsh_version}, "
                    f"this assigner {self._rules.lsh_version}: run both with the same LSH settings and embedder"
                )

    def _forget_applied(self) -> None:
        applied = self._store.position().seq
        self._placed.forget(applied)
        if self._seq - applied > self._rules.window:
            raise ClusterStoreUnavailableError(
                f"the graph is {self._seq - applied} decisions behind the ledger; deciding waits for it"
            )

    def _plan(self, batch: Sequence[tuple[int, Proposal]]) -> list[_Item]:
        codes = np.stack([proposal.query[:, 0] for _, proposal in batch])
        minimum = self._rules.minimum_overlap
        items = []
        for index, (offset, proposal) in enumerate(batch):
            recent = self._recent.after(proposal.searched_seq, proposal.query, minimum_overlap=minimum)
            earlier = [_BEFORE] * len(recent)
            counts = overlaps(proposal.query, codes[:index])
            for row in np.flatnonzero(counts >= minimum).tolist():
                other_offset, other = batch[row]
                recent.append(
                    Remembered(image_id=other.image_id, code=codes[row], score=other.score, overlap=int(counts[row]))
                )
                earlier.append(other_offset)
            kept = [i for i, remembered in enumerate(recent) if remembered.image_id != proposal.image_id]
            items.append(
                _Item(
                    offset=offset,
                    proposal=proposal,
                    recent=tuple(recent[i] for i in kept),
                    earlier=tuple(earlier[i] for i in kept),
                )
            )
        return items

    def _score(self, items: Sequence[_Item]) -> Scores:
        probes = [item.proposal.score for item in items for _ in item.recent]
        others = [remembered.score for item in items for remembered in item.recent]
        counts = [remembered.overlap for item in items for remembered in item.recent]
        if not counts:
            return Scores(values=np.empty(0, dtype=np.float32), model_version=0)
        return self._scorer.score(
            PairBatch(probes=np.stack(probes), candidates=np.stack(others), overlap=np.array(counts, dtype=np.int32))
        )

    def _load(self, items: Sequence[_Item], matches: Sequence[Sequence[Match]]) -> None:
        """Read, in two requests, where all images are that this batch can need."""
        wanted = dict.fromkeys(item.proposal.image_id for item in items)
        for item, recent in zip(items, matches, strict=True):
            threshold = item.proposal.match_threshold
            wanted |= dict.fromkeys(m.image_id for m in (*item.proposal.matches, *recent) if m.score >= threshold)
        self._read_placements = self._store.placements([i for i in wanted if self._placed.placement(i) is None])
        placements = [p for i in wanted if (p := self._placement(i)) is not None]
        clusters = dict.fromkeys(placement.cluster_id for placement in placements)
        self._read_clusters = self._store.clusters([c for c in clusters if self._placed.cluster(c) is None])

    def _placement(self, image_id: ImageId) -> Placement | None:
        return self._placed.placement(image_id) or self._read_placements.get(image_id)

    def _cluster(self, cluster_id: ClusterId) -> ClusterInfo | None:
        return self._placed.cluster(cluster_id) or self._read_clusters.get(cluster_id)

    def _merge(
        self, item: _Item, recent: Sequence[Match], decided: dict[ImageId, int], model_version: int
    ) -> list[Match]:
        """The proposal's matches, where memory knows no newer version of that image, and the recent ones, which
        `model_version` scored."""
        merged = {
            match.image_id: match
            for match in item.proposal.matches
            if self._recent.seq_of(match.image_id) <= item.proposal.searched_seq
        }
        for match, offset in zip(recent, item.earlier, strict=True):
            if decided.get(match.image_id, _BEFORE) == offset:
                if model_version != item.proposal.model_version:
                    raise _OtherModelError
                merged[match.image_id] = match
        return sorted(merged.values(), key=lambda match: (-match.score, -match.overlap, match.image_id))

    def _decide(self, item: _Item, matches: Sequence[Match], was: Placement | None) -> Decision:
        proposal = item.proposal
        placed = [
            PlacedMatch(match=match, cluster=cluster)
            for match in matches
            if match.score >= proposal.match_threshold
            and (placement := self._placement(match.image_id)) is not None
            and (cluster := self._cluster(placement.cluster_id)) is not None
        ]
        current = None if was is None else self._cluster(was.cluster_id)
        assignment = assign(
            proposal.image_id,
            current=was,
            current_size=0 if current is None else current.size,
            matches=placed,
            any_candidate=bool(matches),
            head_bound=proposal.head_bound,
            enough_members=self._rules.enough_members,
            enough_exemplars=self._rules.enough_exemplars,
            head_score=lambda head: self._head_score(proposal, matches, head),
        )
        return self._decision(item, assignment, matches, was)

    def _decision(
        self, item: _Item, assignment: Assignment, matches: Sequence[Match], was: Placement | None
    ) -> Decision:
        proposal = item.proposal
        moved = was is not None and was.cluster_id != assignment.cluster_id
        return Decision(
            seq=self._seq + 1,
            image_id=proposal.image_id,
            version=proposal.version,
            run=proposal.run,
            cluster_id=assignment.cluster_id,
            head=assignment.head,
            previous_cluster=was.cluster_id if was is not None and moved else None,
            rule=assignment.rule,
            matches=tuple(matches[:_KEPT_MATCHES]),
            bridges=assignment.bridges,
            match_threshold=proposal.match_threshold,
            head_bound=proposal.head_bound,
            head_score=assignment.head_score,
            lsh_version=proposal.lsh_version,
            model_version=proposal.model_version,
            indexed=assignment.indexed,
            proposal_offset=item.offset,
            source=proposal.source,
            actor="assigner",
            at_ms=proposal.at_ms,
        )

    def _head_score(self, proposal: Proposal, matches: Sequence[Match], head: ImageId) -> float:
        """The score against a head that the search did not bring up."""
        known = next((match.score for match in matches if match.image_id == head), None)
        if known is not None:
            return known
        remembered = self._recent.get(head)
        if remembered is not None:
            code, score = remembered.code, remembered.score
        else:
            indexed = self._search.images([head]).get(head)
            if indexed is None:
                raise SearchUnavailableError(f"the index does not hold the head {head!r} yet")
            code, score = indexed.code, indexed.score
        overlap = overlaps(proposal.query, code[None, :])
        scored = self._scorer.score(
            PairBatch(probes=proposal.score[None, :], candidates=score[None, :], overlap=overlap)
        )
        if scored.model_version != proposal.model_version:
            raise _OtherModelError
        return float(scored.values[0])

    def _remember(self, decision: Decision, proposal: Proposal, was: Placement | None) -> None:
        touched = {decision.cluster_id, decision.previous_cluster} - {None}
        before = [cluster for c in touched if c is not None and (cluster := self._cluster(c)) is not None]
        self._placed.add(decision, was=was, before=before)
        self._recent.add(
            decision.image_id,
            seq=decision.seq,
            code=proposal.query[:, 0],
            score=proposal.score,
            searchable=decision.indexed,
        )
        self._seq = decision.seq


def _recent_matches(items: Sequence[_Item], scores: Scores) -> list[list[Match]]:
    values = iter(scores.values.tolist())
    return [
        [
            Match(image_id=remembered.image_id, overlap=remembered.overlap, score=next(values))
            for remembered in item.recent
        ]
        for item in items
    ]
