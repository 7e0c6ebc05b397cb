"""The same proposals, decided again by an assigner that has seen nothing, in other batches, in memory."""

import random
from collections.abc import Mapping, Sequence

from graph.assigner import Assigner
from graph.outcome import AssignerRules
from graph.recent import RecentImages
from graph.restore import Past
from graph.standing import Standing
from neardup.clock import SystemClock
from neardup.commands import Command, Request
from neardup.entries import Entry
from neardup.ports import PairScorer
from neardup.settings import Settings
from neardup.standing import StandingChange
from neardup.testing import InMemoryClusterStore, InMemoryIndex
from neardup.types import Position

__all__ = ["decide_again"]

_LARGEST_BATCH = 60


def decide_again(
    requests: Mapping[int, Request],
    standing: Sequence[StandingChange],
    *,
    scorer: PairScorer,
    settings: Settings,
    lsh_version: str,
    seed: str,
) -> list[Entry]:
    """The ledger that these requests, by offset, come to. The window must hold all of them: no older head is read."""
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
            deeper_limit=settings.search.deeper_limit,
        ),
        past=Past(recent=RecentImages(capacity=window)),
        standing=Standing(standing),
        clock=SystemClock(),
    )
    waiting = sorted(requests.items())
    decided: list[Entry] = []
    told = False
    while waiting:
        batch = waiting[: rng.randint(1, _LARGEST_BATCH)]
        # The graph follows now and then, as it does in life. A command waits for it, and so does what comes next.
        if told or isinstance(batch[0][1], Command) or rng.random() < 0.5:
            _apply(store, decided[store.position().seq :])
        told = isinstance(batch[0][1], Command)
        outcome = assigner.decide(batch)
        decided += outcome.entries
        waiting = [entry for entry in waiting if entry[0] >= outcome.next_offset]
    return decided


def _apply(store: InMemoryClusterStore, entries: list[Entry]) -> None:
    if not entries:
        return
    last = entries[-1]
    store.apply(entries, upto=Position(seq=last.seq, ledger_offset=last.seq - 1, proposal_offset=last.proposal_offset))
