"""Proposals -> decisions, a batch at a time. Deterministic: however they are batched, the same proposals come to the
same decisions. Ports only."""

from collections.abc import Sequence
from typing import Final

from graph.answer import Entries
from graph.assignment import Assignment, PlacedMatch, Said, assign, matching
from graph.batch import BEFORE, Item, RecentMatch, plan_batch
from graph.findable import successors
from graph.knowledge import Knowledge
from graph.outcome import AssignerRules, Outcome
from graph.recent import Remembered
from graph.said import concerned, said_of
from graph.standing import Standing
from graph.world import World
from neardup.entries import ASSIGNER, Decision, Entry, Evidence
from neardup.errors import IncompatibleIndexError, UnavailableError
from neardup.lsh import overlaps
from neardup.ports import ClusterStore, PairScorer
from neardup.types import ClusterInfo, ImageId, Match, PairBatch, Placement, Proposal, Requeue

__all__ = ["Decider"]

_KEPT_MATCHES: Final = 10
_NOT_INDEXED: Final = BEFORE - 1


class _SearchAgainError(Exception):
    """The proposal cannot be decided as it was searched and scored."""

    def __init__(self, *, deeper: bool = False) -> None:
        super().__init__()
        self.deeper = deeper


class Decider:
    """Decides what images come to; `known` takes every decision in."""

    def __init__(
        self, known: Knowledge, *, store: ClusterStore, scorer: PairScorer, rules: AssignerRules, standing: Standing
    ) -> None:
        self._known = known
        self._store = store
        self._scorer = scorer
        self._rules = rules
        self._standing = standing

    def decide(self, batch: Sequence[tuple[int, Proposal]]) -> Outcome:
        """Decide proposals, given with their offsets, in order, as far as can be done at once.

        A proposal not above the decided (version, run) of its image comes to nothing. Raises UnavailableError when not
        even the first could be decided (try again), IncompatibleIndexError.
        """
        self._check(batch)
        known = self._known
        known.require_within(self._rules.window)
        items = plan_batch(batch, known.recent, self._scorer, minimum_overlap=self._rules.minimum_overlap)
        self._read(items)

        decisions: list[Entry] = []
        requeue: list[Requeue] = []
        erased: list[ImageId] = []
        decided: dict[ImageId, int] = {}
        next_offset = batch[-1][0] + 1
        for item in items:
            proposal = item.proposal
            if self._standing.is_erased(proposal.image_id):
                erased.append(proposal.image_id)
                continue
            was = known.placement(proposal.image_id)
            if was is not None and (proposal.version, proposal.run) <= (was.version, was.run):
                continue
            if proposal.searched_seq < known.recent.since:
                requeue.append(self._searched_again(proposal))
                continue
            try:
                decision = self._decide(item, self._merge(item, decided), was)
                if left := self._left_unfindable(decision, was):
                    # Those who take its place are read from a graph that shows every entry, so it is decided alone.
                    next_offset = item.offset
                    if not decisions:
                        decisions += self._with_successors(decision, proposal, was, left)
                        next_offset += 1
                    break
            except _SearchAgainError as again:
                requeue.append(self._searched_again(proposal, deeper=again.deeper))
                continue
            except UnavailableError:
                if not (decisions or requeue or erased):
                    raise
                next_offset = item.offset
                break
            known.remember(decision, _image_of(proposal), was)
            decided[proposal.image_id] = item.offset if decision.indexed else _NOT_INDEXED
            decisions.append(decision)
        return Outcome(entries=tuple(decisions), requeue=tuple(requeue), erased=tuple(erased), next_offset=next_offset)

    def _searched_again(self, proposal: Proposal, *, deeper: bool = False) -> Requeue:
        """Hand a proposal back; what was searched deeper is so again."""
        limit = self._rules.deeper_limit
        return Requeue(
            proposal=proposal,
            candidate_limit=limit if deeper or proposal.candidate_limit >= limit else None,
        )

    def _check(self, batch: Sequence[tuple[int, Proposal]]) -> None:
        for offset, proposal in batch:
            if proposal.lsh_version != self._rules.lsh_version:
                raise IncompatibleIndexError(
                    f"the proposal at offset {offset} has lsh_version {proposal.lsh_version}, "
                    f"this assigner {self._rules.lsh_version}: run both with the same LSH settings and embedder"
                )

    def _read(self, items: Sequence[Item]) -> None:
        """Read where all images are that this batch can need."""
        probes = [item.proposal.image_id for item in items]
        wanted = dict.fromkeys(probes)
        for item in items:
            bound = item.proposal.witness_bound
            wanted |= dict.fromkeys(match.image_id for match in item.proposal.matches if match.score >= bound)
            wanted |= dict.fromkeys(match.image_id for match in item.recent if match.score >= bound)
            wanted |= dict.fromkeys(concerned(item.proposal.image_id, self._standing))
        self._known.read(wanted, probes)

    def _merge(self, item: Item, decided: dict[ImageId, int]) -> list[Match]:
        """The proposal's matches, where memory knows no newer version of that image, and the recent ones."""
        merged = {
            match.image_id: match
            for match in item.proposal.matches
            if self._known.recent.seq_of(match.image_id) <= item.proposal.searched_seq
            and not self._standing.is_erased(match.image_id)
        }
        valid = [one for one in item.recent if decided.get(one.image_id, BEFORE) == one.offset]
        if valid and item.model_version != item.proposal.model_version:
            raise _SearchAgainError
        for one in _told(valid, item.proposal.witness_bound):
            merged[one.image_id] = Match(image_id=one.image_id, overlap=one.overlap, score=one.score)
        return sorted(merged.values(), key=lambda match: (-match.score, -match.overlap, match.image_id))

    def _decide(self, item: Item, matches: Sequence[Match], was: Placement | None) -> Decision:
        proposal, known = item.proposal, self._known
        counting = [
            PlacedMatch(match=match, cluster=cluster)
            for match in matches
            if match.score >= proposal.witness_bound
            and (placement := known.placement(match.image_id)) is not None
            and (cluster := known.cluster(placement.cluster_id)) is not None
        ]
        placed = matching(counting, proposal.match_threshold)
        current = None if was is None else known.cluster(was.cluster_id)
        said = said_of(
            proposal.image_id,
            placed,
            was=was,
            standing=self._standing,
            placement=known.placement,
            cluster=known.cluster,
        )
        assignment = assign(
            proposal.image_id,
            own=known.own_cluster(proposal.image_id, current),
            current=current,
            matches=placed,
            any_candidate=bool(matches),
            said=said,
            head_bound=proposal.head_bound,
            enough_members=self._rules.enough_members,
            enough_exemplars=self._rules.enough_exemplars,
            head_score=lambda head: self._head_score(proposal, matches, head),
        )
        if assignment.rule in {"barred", "quarantined"} and proposal.candidate_limit < self._rules.deeper_limit:
            raise _SearchAgainError(deeper=True)
        return self._decision(item, assignment, said, matches, was)

    def _decision(
        self, item: Item, assignment: Assignment, said: Said, matches: Sequence[Match], was: Placement | None
    ) -> Decision:
        proposal = item.proposal
        stays = was is not None and was.cluster_id == assignment.cluster_id
        return Decision(
            seq=self._known.seq + 1,
            actor=ASSIGNER,
            proposal_offset=item.offset,
            at_ms=proposal.at_ms,
            image_id=proposal.image_id,
            version=proposal.version,
            run=proposal.run,
            cluster_id=assignment.cluster_id,
            segment=was.segment if was is not None and stays else assignment.cluster_id,
            head=assignment.head,
            previous_cluster=None if was is None or stays else was.cluster_id,
            previous_seq=None if was is None else was.seq,
            rule=assignment.rule,
            indexed=assignment.indexed,
            evidence=Evidence(
                matches=tuple(matches[:_KEPT_MATCHES]),
                bridges=assignment.bridges,
                barred=said.barred[:_KEPT_MATCHES],
                match_threshold=proposal.match_threshold,
                witness_bound=proposal.witness_bound,
                head_bound=proposal.head_bound,
                head_score=assignment.head_score,
                lsh_version=proposal.lsh_version,
                model_version=proposal.model_version,
                source=proposal.source,
            ),
        )

    def _head_score(self, proposal: Proposal, matches: Sequence[Match], head: ImageId) -> float:
        """The score against a head that the search did not bring up."""
        found = next((match.score for match in matches if match.image_id == head), None)
        if found is not None:
            return found
        image = self._known.codes_of([head])[head]
        overlap = overlaps(proposal.query, image.code[None, :])
        scored = self._scorer.score(
            PairBatch.of_pairs(probes=proposal.score[None, :], candidates=image.score[None, :], overlap=overlap)
        )
        if scored.model_version != proposal.model_version:
            raise _SearchAgainError
        return float(scored.values[0])

    def _left_unfindable(self, decision: Decision, was: Placement | None) -> ClusterInfo | None:
        """The cluster that this image leaves, if it was the last of it that searches find, and others stay."""
        if was is None or not was.indexed or decision.previous_cluster is None:
            return None
        left = self._known.cluster(decision.previous_cluster)
        return left if left is not None and left.exemplars == 1 and left.size > 1 else None

    def _with_successors(
        self, decision: Decision, proposal: Proposal, was: Placement | None, left: ClusterInfo
    ) -> list[Entry]:
        """The decision, and those by which others stand for the cluster that its image has left."""
        known = self._known
        known.await_all()
        world = World(self._store, self._standing)
        placements = successors(world, left.cluster_id, without={decision.image_id})
        images = known.codes_of(list(placements))
        following = Entries(
            seq=decision.seq + 1,
            actor=decision.actor,
            proposal_offset=decision.proposal_offset,
            at_ms=decision.at_ms,
        )
        for placement in placements.values():
            following.index(placement, head=left.head)
        known.remember(decision, _image_of(proposal), was)
        for entry in following.entries:
            if isinstance(entry, Decision):
                known.remember(entry, images[entry.image_id], placements[entry.image_id])
        return [decision, *following.entries]


def _told(recent: list[RecentMatch], witness_bound: float) -> list[RecentMatch]:
    """Those that count, and as many of the others, best first, as evidence can tell: most share a term by chance."""
    if len(recent) <= _KEPT_MATCHES:
        return recent
    least = min(witness_bound, sorted((one.score for one in recent), reverse=True)[_KEPT_MATCHES - 1])
    return [one for one in recent if one.score >= least]


def _image_of(proposal: Proposal) -> Remembered:
    return Remembered(image_id=proposal.image_id, code=proposal.query[:, 0], score=proposal.score)
