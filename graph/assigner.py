"""The assigner: proposals and commands in, entries of the ledger out, in one order.

Deterministic: the same requests give the same ledger.

Search covers the decisions up to a proposal's `searched_seq`; `RecentImages` covers every one after it, so images that
arrive together meet whatever the index shows. Where older images are is read from the graph, under the decisions that
the graph has not applied yet. A command waits until the graph shows every entry before it, and the next proposal until
the graph shows the command: so what commands do need not be known here a second time. Only consecutive erasures are
answered together, in one world that takes in each of them.
"""

from collections.abc import Sequence
from itertools import takewhile

from graph.assignment import Assignment, PlacedMatch, Said, assign
from graph.batch import BEFORE, Item, plan_batch
from graph.commanding import answer_command
from graph.outcome import AssignerRules, Outcome
from graph.recent import RecentPlacements, Remembered
from graph.restore import Past
from graph.said import concerned, said_of
from graph.standing import Standing
from graph.world import NUMBER_SIGN, World, free_cluster_id
from neardup.commands import Command, Erase, Request, named_by
from neardup.entries import Decision, Evidence, ImageErased, NotMoved, Refused, Unchanged
from neardup.errors import (
    ClusterStoreUnavailableError,
    IncompatibleIndexError,
    SearchUnavailableError,
    UnavailableError,
)
from neardup.lsh import overlaps
from neardup.ports import CandidateSearch, Clock, ClusterStore, PairScorer
from neardup.types import (
    ClusterId,
    ClusterInfo,
    ImageId,
    Match,
    PairBatch,
    Placement,
    Proposal,
    Requeue,
)

__all__ = ["Assigner"]

_KEPT_MATCHES = 10
_NOT_INDEXED = BEFORE - 1
_LOOK_EVERY_SECONDS = 0.02
_LOOKS = 75


class _SearchAgainError(Exception):
    """The proposal cannot be decided as it was searched and scored."""

    def __init__(self, *, deeper: bool = False) -> None:
        super().__init__()
        self.deeper = deeper


class Assigner:
    """Decides. Built on a graph that has applied the ledger up to the end of `past`."""

    def __init__(
        self,
        *,
        store: ClusterStore,
        search: CandidateSearch,
        scorer: PairScorer,
        rules: AssignerRules,
        past: Past,
        standing: Standing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._search = search
        self._scorer = scorer
        self._rules = rules
        self._standing = standing
        self._clock = clock
        self._seq = past.last.seq
        self._recent = past.recent
        self._commands = dict(past.commands)
        self._placed = RecentPlacements()
        # What the graph must show: it was relied on up to here. A graph that goes back is being made again.
        self._shown = past.last.seq

    def decide(self, batch: Sequence[tuple[int, Request]]) -> Outcome:
        """Answer requests, given with their offsets, in order: the command at the front, or the proposals before the
        next command. Append the outcome before the next call.

        A proposal not above the decided (version, run) of its image comes to nothing, and so does a command that was
        answered before. Raises UnavailableError when not even the first could be decided (try again),
        IncompatibleIndexError.
        """
        offset, first = batch[0]
        if not isinstance(first, Command):
            proposals = [(at, one) for at, one in takewhile(_is_proposal, batch) if isinstance(one, Proposal)]
            return self._decide_all(proposals)
        self._await_graph(self._seq)
        self._placed.forget(self._seq)
        world = World(self._store, self._standing)
        if isinstance(first.body, Erase):
            return self._erase_all(
                [(at, one) for at, one in takewhile(_is_erasure, batch) if isinstance(one, Command)], world
            )
        return self._answer(offset, first, world)

    def _erase_all(self, batch: Sequence[tuple[int, Command]], world: World) -> Outcome:
        """Answer commands that erase. Producers delete many images at a time: to wait for the graph after each, or to
        ask it for each, would take minutes."""
        world.clusters(world.placements(name for _, command in batch for name in named_by(command.body)).values())
        outcome = Outcome(next_offset=batch[0][0])
        for offset, command in batch:
            try:
                answered = self._answer(offset, command, world)
            except UnavailableError:
                if not outcome.entries:
                    raise
                break
            world.take(answered.entries)
            outcome = outcome.then(answered)
        return outcome

    def _answer(self, offset: int, command: Command, world: World) -> Outcome:
        # By seq alone, as the memory: a successor that restored it knows the same commands.
        while self._commands and next(iter(self._commands.values())) <= self._seq - self._rules.window:
            del self._commands[next(iter(self._commands))]
        if command.command_id in self._commands:
            return Outcome(next_offset=offset + 1)
        entries = answer_command(command, world, seq=self._seq + 1, offset=offset)
        moved = [entry for entry in entries if isinstance(entry, Decision)]
        known = self._codes_of([decision.image_id for decision in moved])
        standing = [change for entry in entries for change in self._standing.take(entry)]
        erased = [entry.image_id for entry in entries if isinstance(entry, ImageErased)]
        for image_id in erased:
            self._recent.remove(image_id)
        for decision in moved:
            image = known[decision.image_id]
            self._recent.add(
                decision.image_id,
                seq=decision.seq,
                code=image.code,
                score=image.score,
                searchable=decision.indexed,
            )
        self._seq = entries[-1].seq
        self._recent.advance(self._seq)
        self._commands[command.command_id] = self._seq
        if not all(isinstance(entry, NotMoved | Refused | Unchanged) for entry in entries):
            self._shown = self._seq
        return Outcome(entries=tuple(entries), standing=tuple(standing), erased=tuple(erased), next_offset=offset + 1)

    def _codes_of(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Remembered]:
        """What the memory must hold of images that are moved: from itself, else from the index."""
        known = {image_id: found for image_id in image_ids if (found := self._recent.get(image_id)) is not None}
        unknown = [image_id for image_id in image_ids if image_id not in known]
        stored = self._search.images(unknown) if unknown else {}
        for image_id in unknown:
            if image_id not in stored:
                raise SearchUnavailableError(f"the index does not hold the image {image_id!r} yet")
            image = stored[image_id]
            known[image_id] = Remembered(image_id=image_id, code=image.code, score=image.score, overlap=0)
        return known

    def _decide_all(self, batch: Sequence[tuple[int, Proposal]]) -> Outcome:
        self._check(batch)
        self._forget_applied()
        items = plan_batch(batch, self._recent, self._scorer, minimum_overlap=self._rules.minimum_overlap)
        self._load(items)

        decisions: list[Decision] = []
        requeue: list[Requeue] = []
        erased: list[ImageId] = []
        decided: dict[ImageId, int] = {}
        next_offset = batch[-1][0] + 1
        for item in items:
            proposal = item.proposal
            if self._standing.is_erased(proposal.image_id):
                erased.append(proposal.image_id)
                continue
            was = self._placement(proposal.image_id)
            if was is not None and (proposal.version, proposal.run) <= (was.version, was.run):
                continue
            if proposal.searched_seq < self._recent.since:
                requeue.append(self._searched_again(proposal))
                continue
            try:
                merged = self._merge(item, decided)
                decision = self._decide(item, merged, was)
            except _SearchAgainError as again:
                requeue.append(self._searched_again(proposal, deeper=again.deeper))
                continue
            except UnavailableError:
                if not (decisions or requeue or erased):
                    raise
                next_offset = item.offset
                break
            self._remember(decision, proposal, was)
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

    def _forget_applied(self) -> None:
        applied = self._await_graph(self._shown)
        self._shown = max(self._shown, applied)
        self._placed.forget(applied)
        if self._seq - applied > self._rules.window:
            raise ClusterStoreUnavailableError(
                f"the graph is {self._seq - applied} decisions behind the ledger; deciding waits for it"
            )

    def _await_graph(self, seq: int) -> int:
        """The seq that the graph has applied, once it is at least this. Raises ClusterStoreUnavailableError when that
        takes long: what a person said is about to be applied, and what comes next depends on it."""
        for _ in range(_LOOKS):
            applied = self._store.position().seq
            if applied >= seq:
                return applied
            self._clock.sleep(_LOOK_EVERY_SECONDS)
        raise ClusterStoreUnavailableError(f"the graph has applied seq {applied}; a command waits for {seq}")

    def _load(self, items: Sequence[Item]) -> None:
        """Read, in two requests, where all images are that this batch can need."""
        probes = [item.proposal.image_id for item in items]
        wanted = dict.fromkeys(probes)
        for item in items:
            matches, threshold = (*item.proposal.matches, *item.recent), item.proposal.match_threshold
            wanted |= dict.fromkeys(match.image_id for match in matches if match.score >= threshold)
            wanted |= dict.fromkeys(concerned(item.proposal.image_id, self._standing))
        self._read_placements = self._store.placements([i for i in wanted if self._placed.placement(i) is None])
        placements = [p for i in wanted if (p := self._placement(i)) is not None]
        # A cluster of an image's own name is there only if the image was decided before, or has such a name as
        # `free_cluster_id` gives. Most images are new, and to read what is not there costs the graph as much.
        own = [ClusterId(i) for i in probes if NUMBER_SIGN in i or self._placement(i) is not None]
        clusters = dict.fromkeys([*(placement.cluster_id for placement in placements), *own])
        self._read_clusters = self._store.clusters([c for c in clusters if self._placed.cluster(c) is None])

    def _placement(self, image_id: ImageId) -> Placement | None:
        return self._placed.placement(image_id) or self._read_placements.get(image_id)

    def _cluster(self, cluster_id: ClusterId) -> ClusterInfo | None:
        return self._placed.cluster(cluster_id) or self._read_clusters.get(cluster_id)

    def _merge(self, item: Item, decided: dict[ImageId, int]) -> list[Match]:
        """The proposal's matches, where memory knows no newer version of that image, and the recent ones."""
        merged = {
            match.image_id: match
            for match in item.proposal.matches
            if self._recent.seq_of(match.image_id) <= item.proposal.searched_seq
            and not self._standing.is_erased(match.image_id)
        }
        for match, offset in zip(item.recent, item.earlier, strict=True):
            if decided.get(match.image_id, BEFORE) == offset:
                if item.model_version != item.proposal.model_version:
                    raise _SearchAgainError
                merged[match.image_id] = match
        return sorted(merged.values(), key=lambda match: (-match.score, -match.overlap, match.image_id))

    def _decide(self, item: Item, matches: Sequence[Match], was: Placement | None) -> Decision:
        proposal = item.proposal
        placed = [
            PlacedMatch(match=match, cluster=cluster)
            for match in matches
            if match.score >= proposal.match_threshold
            and (placement := self._placement(match.image_id)) is not None
            and (cluster := self._cluster(placement.cluster_id)) is not None
        ]
        current = None if was is None else self._cluster(was.cluster_id)
        said = said_of(
            proposal.image_id,
            placed,
            was=was,
            standing=self._standing,
            placement=self._placement,
            cluster=self._cluster,
        )
        assignment = assign(
            proposal.image_id,
            own=self._own_cluster(proposal.image_id, current),
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

    def _own_cluster(self, image_id: ImageId, current: ClusterInfo | None) -> ClusterId:
        """The cluster that an image is the head of when it is by itself: the one it is alone in, else a new one."""
        if current is not None and current.size == 1:
            return current.cluster_id
        taken = self._cluster(ClusterId(image_id))
        if taken is None or taken.size == 0:
            return ClusterId(image_id)
        return free_cluster_id(self._store, image_id, self._seq + 1)

    def _decision(
        self, item: Item, assignment: Assignment, said: Said, matches: Sequence[Match], was: Placement | None
    ) -> Decision:
        proposal = item.proposal
        stays = was is not None and was.cluster_id == assignment.cluster_id
        return Decision(
            seq=self._seq + 1,
            actor="assigner",
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
                head_bound=proposal.head_bound,
                head_score=assignment.head_score,
                lsh_version=proposal.lsh_version,
                model_version=proposal.model_version,
                source=proposal.source,
            ),
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
            raise _SearchAgainError
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


def _is_proposal(entry: tuple[int, Request]) -> bool:
    return isinstance(entry[1], Proposal)


def _is_erasure(entry: tuple[int, Request]) -> bool:
    return isinstance(entry[1], Command) and isinstance(entry[1].body, Erase)
