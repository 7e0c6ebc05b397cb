"""The same proposals, decided again by an assigner that has seen nothing, in other batches, in memory."""

import random
from collections.abc import Mapping

from graph.assigner import Assigner, AssignerRules
from graph.recent import RecentImages
from neardup.ports import PairScorer
from neardup.settings import Settings
from neardup.testing import InMemoryClusterStore, InMemoryIndex
from neardup.types import Decision, Position, Proposal

__all__ = ["decide_again"]

_LARGEST_BATCH = 60


def decide_again(
    proposals: Mapping[int, Proposal], *, scorer: PairScorer, settings: Settings, lsh_version: str, seed: str
) -> list[Decision]:
    """The ledger that these proposals, by offset, come to. The window must hold all of them: no older head is read."""
    rng = random.Random(seed)
    window = settings.assign.window
    store = InMemoryClusterStore()
    assigner = Assigner(
        store=store,
        search=InMemoryIndex(),
        scorer=scorer,
        rules=AssignerRules(
            lsh_version=lsh_version,
            minimum_overlap=settings.search.minimum_overlap,
            enough_members=settings.assign.enough_members,
            enough_exemplars=settings.assign.enough_exemplars,
            window=window,
        ),
        last=Position(),
        recent=RecentImages(capacity=window),
    )
    waiting = sorted(proposals.items())
    decided: list[Decision] = []
    while waiting:
        batch = waiting[: rng.randint(1, _LARGEST_BATCH)]
        outcome = assigner.decide(batch)
        if outcome.decisions and rng.random() < 0.5:
            # The graph follows now and then, as it does in life.
            _apply(store, [*decided[store.position().seq :], *outcome.decisions])
        decided += outcome.decisions
        waiting = [entry for entry in waiting if entry[0] >= outcome.next_offset]
    return decided


def _apply(store: InMemoryClusterStore, decisions: list[Decision]) -> None:
    last = decisions[-1]
    store.apply(
        decisions, upto=Position(seq=last.seq, ledger_offset=last.seq - 1, proposal_offset=last.proposal_offset)
    )
