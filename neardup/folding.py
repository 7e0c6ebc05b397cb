"""The ledger folded as far as one wants, and then further: the reference for projections that move on. Ports only."""

from collections.abc import Callable
from dataclasses import dataclass, field

from neardup.agreement import Disagreement
from neardup.clusters import ClusterState
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, ImageErased
from neardup.errors import ClusterConflictError
from neardup.ports import Ledger
from neardup.types import ClusterId, ImageId, Position

__all__ = ["LedgerFold", "read_all"]

_AT_ONCE = 1000


@dataclass(slots=True)
class LedgerFold:
    """The ledger folded from its first entry up to `position`. Everything is held in memory.

    `images` and `clusters`: every id that the ledger ever named, also those that are gone. `contents`: for each image
    the offset of the proposal which its terms and its embedding come from. `faults`: what is wrong with the ledger.
    `progress` is called with the seq after each part.
    """

    ledger: Ledger
    progress: Callable[[int], None] = lambda _: None
    state: ClusterState = field(default_factory=ClusterState)
    position: Position = field(default_factory=Position)
    images: dict[ImageId, None] = field(default_factory=dict)
    clusters: dict[ClusterId, None] = field(default_factory=dict)
    contents: dict[ImageId, int] = field(default_factory=dict)
    faults: list[Disagreement] = field(default_factory=list)

    def to_end(self) -> None:
        """Fold on to the end of the ledger. Raises LogUnavailableError."""
        while self._read(_AT_ONCE):
            pass

    def to(self, seq: int) -> None:
        """Fold on to this seq, or to the end of the ledger if that comes before. Raises LogUnavailableError."""
        while self.position.seq < seq and self._read(min(_AT_ONCE, seq - self.position.seq)):
            pass

    def ahead(self) -> list[tuple[Position, Entry]]:
        """The entries behind the fold, up to the end of the ledger. Raises LogUnavailableError."""
        found: list[tuple[Position, Entry]] = []
        position = self.position
        while some := self.ledger.read(after=position, limit=_AT_ONCE):
            found += some
            position = some[-1][0]
        return found

    def take(self, position: Position, entry: Entry) -> None:
        """Fold one entry in: the next one."""
        self._name(entry)
        try:
            self.state.apply(entry)
        except ClusterConflictError as exc:
            if not self.faults:
                fault = Disagreement(place="ledger", kind="differs", subject=str(entry.seq), detail=str(exc))
                self.faults.append(fault)
        self.position = position

    def _read(self, limit: int) -> bool:
        some = self.ledger.read(after=self.position, limit=limit)
        for position, entry in some:
            self.take(position, entry)
        self.progress(self.position.seq)
        return bool(some)

    def _name(self, entry: Entry) -> None:
        match entry:
            case Decision():
                self.images[entry.image_id] = None
                self.clusters[entry.cluster_id] = None
                if entry.evidence is not None:
                    self.contents[entry.image_id] = entry.proposal_offset
            case ImageErased():
                self.images[entry.image_id] = None
                self.contents.pop(entry.image_id, None)
            case ClusterMerged() | ClusterUnmerged():
                self.clusters |= dict.fromkeys(entry.segments)
            case _:
                pass


def read_all(ledger: Ledger) -> list[Entry]:
    """Every entry of a ledger. Raises LogUnavailableError."""
    return [entry for _, entry in LedgerFold(ledger).ahead()]
