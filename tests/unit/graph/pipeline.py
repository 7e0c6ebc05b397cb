"""Everything between joined images and clusters, in memory and in the hand of a test: who runs when is an argument."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from graph.assigner import Assigner
from graph.outcome import AssignerRules
from graph.projector import Projector
from graph.restore import restore
from graph.standing import Standing
from indexer.index_projection import IndexProjection
from indexer.propose import ProposalRules, Proposer
from neardup.clusters import ClusterState
from neardup.commands import Command, CommandBody
from neardup.entries import Decision, Entry
from neardup.errors import UnavailableError
from neardup.lsh import LshModel
from neardup.ports import CandidateSearch, ClusterStore, PairScorer
from neardup.standing import EraseKey, StandingChange, key_of
from neardup.testing import (
    CosineScorer,
    FakeClock,
    InMemoryClusterStore,
    InMemoryHeadCache,
    InMemoryIndex,
    InMemoryLedger,
    InMemoryProposalLog,
)
from neardup.types import Image, ImageId, Position, Proposal, Source, Vector

DIMENSION = 8
WORDS = 16
LSH = LshModel(dimension=DIMENSION + 2 * WORDS, embedding_version="circle", tables=24, bits_per_table=4, words=WORDS)
MINIMUM_OVERLAP = 12
STEPS = 24
ERASE_KEY = EraseKey(key="00" * 32)

_AXES = np.linalg.qr(np.random.default_rng(7).normal(size=(DIMENSION, 2)))[0].T.astype(np.float32)


def on_circle(step: int) -> Vector:
    """A unit vector. 2 steps (30 degrees) apart is a near-duplicate for CosineScorer, 3 steps is not; a search finds
    2 steps always, 3 sometimes, 4 never."""
    angle = 2 * np.pi * step / STEPS
    vector: Vector = (np.cos(angle) * _AXES[0] + np.sin(angle) * _AXES[1]).astype(np.float32)
    return vector


def make_image(
    name: str, step: int, *, version: int = 1, run: int = 0, words: Sequence[int] = (), seen_at: int | None = None
) -> Image:
    """`words`: numbers from 1 to 2,048 that stand for words. `seen_at`: the step that its directions are of, if that
    is another one."""
    score = on_circle(step)
    ends = np.zeros((WORDS, 2), dtype=np.float32)
    ends[: len(words)] = np.array(words).reshape(-1, 1)
    lsh = np.concatenate([score if seen_at is None else on_circle(seen_at), ends.ravel()])
    return Image(image_id=ImageId(name), version=version, run=run, lsh=lsh, score=score)


class Pipeline:
    """The real proposer, assigner, restore, projectors and projections over the ports in memory."""

    def __init__(
        self,
        *,
        window: int = 1000,
        enough_members: int = 3,
        enough_exemplars: int = 32,
        match_threshold: float = 0.5,
        scorer: PairScorer | None = None,
        search: CandidateSearch | None = None,
        store: ClusterStore | None = None,
        index: InMemoryIndex | None = None,
        proposals: InMemoryProposalLog | None = None,
    ) -> None:
        self.proposals = proposals or InMemoryProposalLog()
        self.ledger = InMemoryLedger()
        self.index = index or InMemoryIndex()
        self.store: ClusterStore = store or InMemoryClusterStore()
        self.cache = InMemoryHeadCache()
        self.search: CandidateSearch = search or self.index
        self.match_threshold = match_threshold
        self.scorer: PairScorer = scorer or CosineScorer(match_threshold=match_threshold)
        self.window = window
        self.rules = AssignerRules(
            lsh_version=LSH.version,
            minimum_overlap=MINIMUM_OVERLAP,
            enough_members=enough_members,
            enough_exemplars=enough_exemplars,
            window=window,
            deeper_limit=10_000,
        )
        self.proposer = self.make_proposer(candidate_limit=1000)
        self._to_graph = Projector("graph", ledger=self.ledger, projection=self.store, batch=1)
        self._to_index = Projector(
            "index",
            ledger=self.ledger,
            projection=IndexProjection(self.index, self.index, self.proposals, lsh_version=LSH.version),
            batch=1,
        )
        self._to_cache = Projector("cache", ledger=self.ledger, projection=self.cache, batch=1)
        self._images: dict[Source, Image] = {}
        self._searched_again = 0
        self._told = 0
        self.refused = 0
        self.restart()

    @property
    def decisions(self) -> list[Decision]:
        return [entry for entry in self.entries if isinstance(entry, Decision)]

    @property
    def entries(self) -> list[Entry]:
        return [entry for _, entry in self.ledger.read(after=Position(), limit=10**6)]

    @property
    def requeued_ids(self) -> list[ImageId]:
        return [one.proposal.image_id for one in self.ledger.requeued]

    @property
    def waiting(self) -> int:
        return self.proposals.end() - self.next_offset

    def make_proposer(self, *, candidate_limit: int) -> Proposer:
        return Proposer(
            lsh=LSH,
            search=self.index,
            scorer=CosineScorer(match_threshold=self.match_threshold),
            clock=FakeClock(),
            rules=ProposalRules(candidate_limit=candidate_limit, minimum_overlap=MINIMUM_OVERLAP, probes=1),
        )

    def restart(self) -> None:
        """A new assigner, from the logs; it starts when the graph has applied the whole ledger."""
        self.project_graph(10**6)
        past = restore(self.ledger, self.proposals, self.index, window=self.window)
        self.writer = self.ledger.writer()
        if not self.ledger.changes:
            self.writer.append([], standing=[StandingChange(key=key_of(ERASE_KEY), word=ERASE_KEY)])
        self.standing = Standing(self.ledger.changes)
        self.assigner = Assigner(
            store=self.store,
            search=self.search,
            scorer=self.scorer,
            rules=self.rules,
            past=past,
            standing=self.standing,
            clock=FakeClock(),
        )
        self.next_offset = past.last.proposal_offset + 1

    def propose(self, *images: Image) -> list[Proposal]:
        start = self.proposals.end()
        sources = [Source(topic="test.images", partition=0, offset=start + number) for number in range(len(images))]
        self._images |= zip(sources, images, strict=True)
        made = self.proposer.propose(list(zip(sources, images, strict=True)))
        self.proposals.append(made)
        return made

    def search_again(self) -> None:
        """What the propose role does with what was handed back."""
        for request in self.ledger.requeued[self._searched_again :]:
            source = request.proposal.source
            again = [(source, self._images[source])]
            self.proposals.append(self.proposer.propose(again, candidate_limit=request.candidate_limit))
        self._searched_again = len(self.ledger.requeued)

    def command(self, body: CommandBody, *, actor: str = "somebody", command_id: str | None = None) -> Command:
        """Put a command into the log, undecided."""
        self._told += 1
        command = Command(
            command_id=command_id or str(UUID(int=self._told)),
            actor=actor,
            reason="a test",
            at_ms=1_800_000_000_000 + self._told,
            body=body,
        )
        self.proposals.append([command])
        return command

    def tell(self, body: CommandBody) -> list[Entry]:
        """A command, decided and applied at once; the entries that answer it."""
        before = len(self.entries)
        self.command(body)
        self.decide(10**6)
        self.project()
        return self.entries[before:]

    def decide(self, limit: int) -> None:
        """Decide the next proposals as one batch; what an engine refuses is asked again, its projector having moved."""
        batch = self.proposals.read(offset=self.next_offset, limit=limit)
        while batch:
            try:
                outcome = self.assigner.decide(batch)
            except UnavailableError:
                self.refused += 1
                if self.refused > 1000:
                    raise
                self.project_graph(1)
                self.project_index(1)
                continue
            self.writer.append(
                outcome.entries, requeue=outcome.requeue, standing=outcome.standing, erased=outcome.erased
            )
            self.next_offset = outcome.next_offset
            batch = [entry for entry in batch if entry[0] >= outcome.next_offset]

    def project_graph(self, limit: int) -> None:
        _steps(self._to_graph, limit)

    def project_index(self, limit: int) -> None:
        _steps(self._to_index, limit)

    def project(self) -> None:
        self.project_graph(10**6)
        self.project_index(10**6)
        _steps(self._to_cache, 10**6)

    def settle(self) -> None:
        """Until nothing waits."""
        while self.waiting or self._searched_again < len(self.ledger.requeued):
            self.decide(1000)
            self.project()
            self.search_again()
        self.project()

    def arrive(self, *images: Image) -> list[Decision]:
        """Images that come together, after everything before them has been applied; the decisions about them."""
        self.project()
        before = len(self.decisions)
        self.propose(*images)
        self.decide(1000)
        return self.decisions[before:]


def clusters_of(decisions: Sequence[Entry]) -> set[frozenset[str]]:
    """The partition that a ledger comes to."""
    state = ClusterState(decisions)
    return {
        frozenset(member.image_id for member in state.members(info.cluster_id).members) for info in state.clusters()
    }


def _steps(projector: Projector, limit: int) -> None:
    while limit > 0 and projector.step():
        limit -= 1
