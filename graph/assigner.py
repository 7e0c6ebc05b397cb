"""The assigner: proposals and commands in, entries of the ledger out, in one order.

Deterministic: the same requests give the same ledger. A command waits until the graph shows every entry before it, and
the next proposal until the graph shows the command: so what commands do need not be known here a second time. Only
consecutive erasures are answered together, in one world that takes in each of them.
"""

from collections.abc import Sequence
from itertools import takewhile

from graph.commanding import answer_command
from graph.deciding import Decider
from graph.knowledge import Knowledge
from graph.outcome import AssignerRules, Outcome
from graph.restore import Past
from graph.standing import Standing
from graph.world import World
from neardup.commands import Command, Erase, Request, named_by
from neardup.entries import Decision, ImageErased, NotMoved, Refused, Unchanged
from neardup.errors import UnavailableError
from neardup.ports import CandidateSearch, Clock, ClusterStore, PairScorer
from neardup.types import Proposal

__all__ = ["Assigner"]


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
        self._rules = rules
        self._standing = standing
        self._commands = dict(past.commands)
        self._known = Knowledge(store, search, past, clock)
        self._decider = Decider(self._known, store=store, scorer=scorer, rules=rules, standing=standing)

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
            return self._decider.decide(proposals)
        self._known.await_all()
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
        known = self._known
        # By seq alone, as the memory: a successor that restored it knows the same commands.
        while self._commands and next(iter(self._commands.values())) <= known.seq - self._rules.window:
            del self._commands[next(iter(self._commands))]
        if command.command_id in self._commands:
            return Outcome(next_offset=offset + 1)
        entries = answer_command(command, world, seq=known.seq + 1, offset=offset)
        moved = [entry for entry in entries if isinstance(entry, Decision)]
        images = known.codes_of([decision.image_id for decision in moved])
        standing = [change for entry in entries for change in self._standing.take(entry)]
        erased = [entry.image_id for entry in entries if isinstance(entry, ImageErased)]
        for image_id in erased:
            known.recent.remove(image_id)
        for decision in moved:
            known.remember_image(decision, images[decision.image_id])
        nothing = all(isinstance(entry, NotMoved | Refused | Unchanged) for entry in entries)
        known.advance(entries[-1].seq, shown=not nothing)
        self._commands[command.command_id] = known.seq
        return Outcome(entries=tuple(entries), standing=tuple(standing), erased=tuple(erased), next_offset=offset + 1)


def _is_proposal(entry: tuple[int, Request]) -> bool:
    return isinstance(entry[1], Proposal)


def _is_erasure(entry: tuple[int, Request]) -> bool:
    return isinstance(entry[1], Command) and isinstance(entry[1].body, Erase)
