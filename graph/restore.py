"""What a new assigner must know of the past: the end of the ledger and the images of its last entries. Ports only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from graph.recent import RecentImages
from neardup.entries import Decision, ImageErased
from neardup.ports import CandidateSearch, Ledger, ProposalLog
from neardup.types import Code, Half, ImageId, Position, Proposal

__all__ = ["Past", "restore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """`last`: the end of the ledger. `recent`: the images of its last entries. `commands`: those that these entries
    answer, by id with the seq."""

    last: Position = field(default_factory=Position)
    recent: RecentImages
    commands: dict[str, int] = field(default_factory=dict)


def restore(ledger: Ledger, proposals: ProposalLog, search: CandidateSearch, *, window: int) -> Past:
    """The past, as far back as `window` entries.

    Terms and embeddings come from the proposals, and for images that people moved from the index. Where they are no
    longer there, the memory starts later. Raises LogUnavailableError, SearchUnavailableError.
    """
    tail = ledger.tail(window)
    if not tail:
        return Past(recent=RecentImages(capacity=window))
    last = tail[-1][0]
    entries = [entry for _, entry in tail if entry.seq > last.seq - window]
    commands = {entry.command_id: entry.seq for entry in entries if entry.command_id is not None}
    since = entries[0].seq - 1
    erased = {entry.image_id for entry in entries if isinstance(entry, ImageErased)}
    decisions = [entry for entry in entries if isinstance(entry, Decision) and entry.image_id not in erased]
    known = _from_proposals(decisions, proposals, last)
    moved = {decision.image_id for decision in decisions if decision.evidence is None}
    stored = search.images(sorted(moved)) if moved else {}
    since = max([since, *_unknown(decisions, known, set(stored))])
    recent = RecentImages(capacity=window, since=since)
    codes: dict[ImageId, tuple[Code, Half]] = {
        image_id: (image.code, image.score) for image_id, image in stored.items()
    }
    for decision in decisions:
        if decision.evidence is not None and decision.proposal_offset in known:
            proposal = known[decision.proposal_offset]
            codes[decision.image_id] = (proposal.query[:, 0], proposal.score)
        if decision.seq > since:
            code, score = codes[decision.image_id]
            recent.add(decision.image_id, seq=decision.seq, code=code, score=score, searchable=decision.indexed)
    recent.advance(last.seq)
    return Past(last=last, recent=recent, commands=commands)


def _from_proposals(decisions: Sequence[Decision], proposals: ProposalLog, last: Position) -> dict[int, Proposal]:
    wanted = {decision.proposal_offset for decision in decisions if decision.evidence is not None}
    found: dict[int, Proposal] = {}
    offset = min(wanted, default=last.proposal_offset + 1)
    while offset <= last.proposal_offset and (some := proposals.read(offset=offset)):
        found |= {at: request for at, request in some if at in wanted and isinstance(request, Proposal)}
        offset = some[-1][0] + 1
    return found


def _unknown(decisions: Sequence[Decision], known: dict[int, Proposal], seen: set[ImageId]) -> Iterator[int]:
    """The seqs of the decisions whose image's terms cannot be had any more."""
    for decision in decisions:
        if decision.evidence is not None and decision.proposal_offset in known:
            seen.add(decision.image_id)
        elif decision.evidence is not None or decision.image_id not in seen:
            yield decision.seq
