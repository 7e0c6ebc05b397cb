"""The index as a projection of the ledger: what was decided becomes searchable, with the terms its proposal carried."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from neardup.clusters import require_consecutive
from neardup.entries import Decision, Entry, ImageErased
from neardup.errors import ClusterConflictError, IncompatibleIndexError, LogUnavailableError
from neardup.ports import CandidateSearch, ImageIndex, ProposalLog
from neardup.types import ImageId, IndexedImage, Position, Proposal

__all__ = ["IndexProjection"]

_log = structlog.get_logger("index")


class IndexProjection:
    """Port Projection over an ImageIndex. The ledger stays slim: terms and embedding are read from the proposals, which
    are in the order of the decisions, so one cursor follows both. An image that a person moved is read from the index
    itself, which keeps what its terms are made of also for those that are not searchable."""

    def __init__(self, index: ImageIndex, search: CandidateSearch, proposals: ProposalLog, *, lsh_version: str) -> None:
        self._index = index
        self._search = search
        self._proposals = proposals
        self._lsh_version = lsh_version

    def position(self) -> Position:
        """The last applied position."""
        return self._index.position()

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        """Write the images of these entries and make them searchable, remove those that were erased.

        Raises IncompatibleIndexError for terms of another lsh_version, LogUnavailableError when proposals are gone.
        """
        require_consecutive(entries, upto)
        if not entries:
            return
        applied = self._index.position().seq
        if entries[0].seq != applied + 1:
            raise ClusterConflictError(f"the index stands at seq {applied}, not before {entries[0].seq}")
        decisions = [entry for entry in entries if isinstance(entry, Decision)]
        self._check(decisions)
        proposals = self._proposals_of([decision for decision in decisions if decision.evidence is not None])
        latest: dict[ImageId, Decision | ImageErased] = {
            entry.image_id: entry for entry in entries if isinstance(entry, Decision | ImageErased)
        }
        images = {
            decision.image_id: _from_proposal(decision, proposals)
            for decision in decisions
            if decision.evidence is not None
        }
        moved = [entry for entry in latest.values() if isinstance(entry, Decision) and entry.evidence is None]
        images |= self._moved(moved, images)
        removed = [image_id for image_id, entry in latest.items() if isinstance(entry, ImageErased)]
        for image_id in removed:
            images.pop(image_id, None)
        self._index.apply(list(images.values()), removed, upto=upto)

    def _check(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            if decision.evidence is not None and decision.evidence.lsh_version != self._lsh_version:
                raise IncompatibleIndexError(
                    f"decision {decision.seq} has terms of lsh_version {decision.evidence.lsh_version}, this index is "
                    f"for {self._lsh_version}: use the LSH settings and embedder of the ledger, or another namespace"
                )

    def _moved(self, moved: Sequence[Decision], images: dict[ImageId, IndexedImage]) -> dict[ImageId, IndexedImage]:
        """The images that people moved, as they are after it."""
        unknown = [decision.image_id for decision in moved if decision.image_id not in images]
        known = images | (self._search.images(unknown) if unknown else {})
        found: dict[ImageId, IndexedImage] = {}
        for decision in moved:
            image = known.get(decision.image_id)
            if image is None:
                # Erased by an entry of this batch that was applied before a failure, and will be again.
                _log.warning("a moved image is not in the index", image_id=decision.image_id, seq=decision.seq)
            else:
                found[decision.image_id] = replace(image, seq=decision.seq, searchable=decision.indexed)
        return found

    def _proposals_of(self, decisions: Sequence[Decision]) -> dict[int, Proposal]:
        wanted = {decision.proposal_offset for decision in decisions}
        found: dict[int, Proposal] = {}
        if not wanted:
            return found
        offset, last = min(wanted), max(wanted)
        while offset <= last and (some := self._proposals.read(offset=offset)):
            found |= {at: request for at, request in some if at in wanted and isinstance(request, Proposal)}
            offset = some[-1][0] + 1
        missing = wanted - found.keys()
        if missing:
            raise LogUnavailableError(
                f"{len(missing)} proposals from offset {min(missing)} on are no longer in the log: "
                "the index must be built again from the images topic"
            )
        return found


def _from_proposal(decision: Decision, proposals: dict[int, Proposal]) -> IndexedImage:
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
