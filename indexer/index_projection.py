"""The index as a projection of the ledger: what was decided becomes searchable, with the terms its proposal carried."""

from collections.abc import Sequence

from neardup.clusters import require_consecutive
from neardup.errors import ClusterConflictError, IncompatibleIndexError, LogUnavailableError
from neardup.ports import ImageIndex, ProposalLog
from neardup.types import Decision, IndexedImage, Position, Proposal

__all__ = ["IndexProjection"]


class IndexProjection:
    """Port Projection over an ImageIndex. The ledger stays slim: terms and embedding are read from the proposals, which
    are in the order of the decisions, so one cursor follows both."""

    def __init__(self, index: ImageIndex, proposals: ProposalLog, *, lsh_version: str) -> None:
        self._index = index
        self._proposals = proposals
        self._lsh_version = lsh_version

    def position(self) -> Position:
        """The last applied position."""
        return self._index.position()

    def apply(self, decisions: Sequence[Decision], *, upto: Position) -> None:
        """Write the images of these decisions and make them searchable.

        Raises IncompatibleIndexError for terms of another lsh_version, LogUnavailableError when proposals are gone.
        """
        require_consecutive(decisions, upto)
        if not decisions:
            return
        applied = self._index.position().seq
        if decisions[0].seq != applied + 1:
            raise ClusterConflictError(f"the index stands at seq {applied}, not before {decisions[0].seq}")
        for decision in decisions:
            if decision.lsh_version != self._lsh_version:
                raise IncompatibleIndexError(
                    f"decision {decision.seq} has terms of lsh_version {decision.lsh_version}, this index is for "
                    f"{self._lsh_version}: use the LSH settings and embedder of the ledger, or another namespace"
                )
        proposals = self._proposals_of(decisions)
        latest = {decision.image_id: _indexed(decision, proposals) for decision in decisions}
        self._index.apply(list(latest.values()), [], upto=upto)

    def _proposals_of(self, decisions: Sequence[Decision]) -> dict[int, Proposal]:
        wanted = {decision.proposal_offset for decision in decisions}
        found: dict[int, Proposal] = {}
        offset, last = min(wanted), max(wanted)
        while offset <= last and (some := self._proposals.read(offset=offset)):
            found |= {at: proposal for at, proposal in some if at in wanted}
            offset = some[-1][0] + 1
        missing = wanted - found.keys()
        if missing:
            raise LogUnavailableError(
                f"{len(missing)} proposals from offset {min(missing)} on are no longer in the log: "
                "the index must be built again from the images topic"
            )
        return found


def _indexed(decision: Decision, proposals: dict[int, Proposal]) -> IndexedImage:
    proposal = proposals[decision.proposal_offset]
    return IndexedImage(
        image_id=decision.image_id,
        version=decision.version,
        seq=decision.seq,
        code=proposal.query[:, 0],
        score=proposal.score,
        metadata=proposal.metadata,
        searchable=decision.indexed,
    )
