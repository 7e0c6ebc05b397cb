"""Entries in the making: the answer to a command, and what follows from a decision. Ports only."""

from collections.abc import Callable, Sequence
from typing import Any

from graph.world import World
from neardup.commands import Command, in_words
from neardup.commands import named_by as named
from neardup.entries import Decision, Entry, HeadChanged, Refused, Rule, Unchanged
from neardup.types import ClusterId, ImageId, Placement

__all__ = ["Answer", "Entries"]

_NAMED_AT_MOST = 10


class Entries:
    """Entries in the making, from `seq` on, all of one transaction. `common`: the fields that all of them have."""

    def __init__(self, *, seq: int, **common: Any) -> None:
        self.entries: list[Entry] = []
        self._seq = seq
        self._common = common

    @property
    def next_seq(self) -> int:
        """The seq of the next entry."""
        return self._seq + len(self.entries)

    def add(self, kind: Callable[..., Entry], **fields: Any) -> None:
        """One more entry of this kind, with these fields besides those that all have."""
        self.entries.append(kind(seq=self.next_seq, **self._common, **fields))

    def move(self, placement: Placement, *, to: ClusterId, head: ImageId, rule: Rule) -> None:
        """Decide that an image is in this cluster, which has this head then. One that comes from elsewhere is indexed:
        nothing stands for it there."""
        self._decide(placement, to=to, head=head, rule=rule, indexed=placement.indexed or placement.cluster_id != to)

    def index(self, placement: Placement, *, head: ImageId) -> None:
        """Decide that an image stays where it is and stands for its cluster in searches."""
        self._decide(placement, to=placement.cluster_id, head=head, rule="exemplar", indexed=True)

    def free_heads(self, world: World, movers: Sequence[Placement]) -> None:
        """Before images leave their clusters, in this order: pass the head on to the first member that stays, else to
        the last one that leaves."""
        for cluster in world.clusters(movers).values():
            leaving = [placement.image_id for placement in movers if placement.cluster_id == cluster.cluster_id]
            if cluster.head not in leaving:
                continue
            stays = cluster.size > len(leaving)
            head = world.first_member(cluster.cluster_id, without=set(leaving)) if stays else leaving[-1]
            if head is not None and head != cluster.head:
                self.add(HeadChanged, cluster_id=cluster.cluster_id, head=head, previous_head=cluster.head)

    def _decide(self, placement: Placement, *, to: ClusterId, head: ImageId, rule: Rule, indexed: bool) -> None:
        stays = placement.cluster_id == to
        self.add(
            Decision,
            image_id=placement.image_id,
            version=placement.version,
            run=placement.run,
            cluster_id=to,
            segment=placement.segment if stays else to,
            head=head,
            previous_cluster=None if stays else placement.cluster_id,
            previous_seq=placement.seq,
            rule=rule,
            indexed=indexed,
            evidence=None,
        )


class Answer(Entries):
    """The entries of one command."""

    def __init__(self, command: Command, *, seq: int, offset: int) -> None:
        super().__init__(
            seq=seq,
            actor=command.actor,
            reason=command.reason,
            command_id=command.command_id,
            proposal_offset=offset,
            at_ms=command.at_ms,
        )
        self.command = command

    def refuse(self, because: str) -> None:
        """The command comes to nothing."""
        self._only(Refused, because)

    def unchanged(self, because: str) -> None:
        """What the command asks for is so already."""
        self._only(Unchanged, because)

    def _only(self, kind: Callable[..., Entry], because: str) -> None:
        self.entries.clear()
        body = self.command.body
        self.add(kind, command=in_words(body), images=named(body)[:_NAMED_AT_MOST], because=because)
