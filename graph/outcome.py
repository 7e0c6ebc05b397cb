"""What the assigner goes by, and what a batch of requests comes to. Frozen values."""

from dataclasses import dataclass

from neardup.entries import Entry
from neardup.standing import StandingChange
from neardup.types import ImageId, Requeue

__all__ = ["AssignerRules", "Outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignerRules:
    """`window`: recent entries that the graph may lag behind; `enough_members`, `enough_exemplars`: see
    `graph.assignment.assign`; `deeper_limit`: candidates to ask for when every match is in a barred cluster."""

    lsh_version: str
    minimum_overlap: int
    enough_members: int
    enough_exemplars: int
    window: int
    deeper_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a batch comes to. `requeue`: proposals to be searched again, older than the memory, scored by another model
    version than the one served now, or matching barred clusters only. `standing`: what the entries change of the
    standing words. `erased`: images that came again although they were erased. `next_offset`: where to go on: at a
    command, where an engine failed, or behind the batch."""

    entries: tuple[Entry, ...] = ()
    requeue: tuple[Requeue, ...] = ()
    standing: tuple[StandingChange, ...] = ()
    erased: tuple[ImageId, ...] = ()
    next_offset: int

    def then(self, later: "Outcome") -> "Outcome":
        """This, and what came to be behind it."""
        return Outcome(
            entries=self.entries + later.entries,
            requeue=self.requeue + later.requeue,
            standing=self.standing + later.standing,
            erased=self.erased + later.erased,
            next_offset=later.next_offset,
        )
