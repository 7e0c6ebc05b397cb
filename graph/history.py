"""The ledger as documents that can be looked up: what a document says of its entry, and until when that held. Pure.

Three statements can be asked for as of any seq, each answered by the last entry that makes it:
where an image was (its decision, until a later one), which root a part of a cluster had, which head a cluster had.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from neardup.entries import (
    ClusterMerged,
    ClusterUnmerged,
    Decision,
    Entry,
    HeadChanged,
    ImageErased,
    clusters_of,
    images_of,
)
from neardup.records import decode_entry, encode_entry
from neardup.types import ClusterId, ImageId

__all__ = [
    "STANDS",
    "LedgerDocument",
    "document_body",
    "document_of_body",
    "documents_of",
    "parts_after",
    "previous_seqs",
]

STANDS: Final = 2**53
"""`until_seq` of a decision that no later one replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerDocument:
    """An entry with what only the entries around it tell. Of a decision, `member_seq` is the seq with which its image
    entered the part it is in, and it held before `until_seq`."""

    entry: Entry
    member_seq: int | None = None
    until_seq: int | None = None

    @property
    def version(self) -> int:
        """Grows with every change of the document: an older form never replaces a newer one."""
        closed = self.until_seq is not None and self.until_seq < STANDS
        return self.until_seq if closed and self.until_seq is not None else self.entry.seq


def previous_seqs(entries: Iterable[Entry]) -> set[int]:
    """The seqs of earlier decisions that these entries replace."""
    return {
        entry.previous_seq
        for entry in entries
        if isinstance(entry, Decision | ImageErased) and entry.previous_seq is not None
    }


def documents_of(entries: Sequence[Entry], before: Mapping[int, LedgerDocument]) -> list[LedgerDocument]:
    """The documents of consecutive entries, and the new form of the documents that they close. `before`: those of
    `previous_seqs` that are not among the entries themselves."""
    documents = dict(before)
    changed: dict[int, None] = {}
    for entry in entries:
        if isinstance(entry, Decision | ImageErased) and entry.previous_seq is not None:
            earlier = documents[entry.previous_seq]
            documents[entry.previous_seq] = replace(earlier, until_seq=entry.seq)
            changed[entry.previous_seq] = None
        documents[entry.seq] = _document(entry, documents)
        changed[entry.seq] = None
    return [documents[seq] for seq in changed]


def _document(entry: Entry, documents: Mapping[int, LedgerDocument]) -> LedgerDocument:
    if not isinstance(entry, Decision):
        return LedgerDocument(entry=entry)
    member_seq = entry.seq
    # An image that is decided again and stays keeps its place among the members.
    if entry.previous_seq is not None and entry.previous_cluster is None:
        member_seq = documents[entry.previous_seq].member_seq or entry.seq
    return LedgerDocument(entry=entry, member_seq=member_seq, until_seq=STANDS)


def document_body(document: LedgerDocument) -> dict[str, Any]:
    """What is sent to the index."""
    entry = document.entry
    body: dict[str, Any] = {
        "seq": entry.seq,
        "kind": entry.kind,
        "at_ms": entry.at_ms,
        "actor": entry.actor,
        "reason": entry.reason,
        "image_ids": list(dict.fromkeys(images_of(entry))),
        "cluster_ids": list(clusters_of(entry)),
        "entry": encode_entry(entry).decode(),
    }
    match entry:
        case Decision():
            body |= {
                "rule": entry.rule,
                "image_id": entry.image_id,
                "segment": entry.segment,
                "joined": entry.previous_seq is None or entry.previous_cluster is not None,
                "member_seq": document.member_seq,
                "until_seq": document.until_seq,
            }
            body |= _root([entry.segment], entry.cluster_id) | _head(entry.cluster_id, entry.head)
        case HeadChanged():
            body |= _head(entry.cluster_id, entry.head)
        case ClusterMerged():
            body |= _root(entry.segments, entry.into) | _head(entry.into, entry.head)
        case ClusterUnmerged():
            body |= _root(entry.segments, entry.cluster_id) | _head(entry.cluster_id, entry.head)
        case ImageErased(cluster_id=cluster_id, head=head) if cluster_id is not None and head is not None:
            body |= _head(cluster_id, head)
    return body


def document_of_body(body: Mapping[str, Any]) -> LedgerDocument:
    """The document that `document_body` wrote."""
    return LedgerDocument(
        entry=decode_entry(body["entry"].encode()), member_seq=body.get("member_seq"), until_seq=body.get("until_seq")
    )


def parts_after(root: ClusterId, changes: Iterable[ClusterMerged | ClusterUnmerged]) -> list[ClusterId]:
    """The parts of a cluster in the order in which its members are read, its own last, after these changes in the order
    of seq: all that merged something into it, and all that took away something that had been."""
    parts: list[ClusterId] = []
    for change in changes:
        if isinstance(change, ClusterMerged):
            parts += change.segments
        elif change.cluster_id != root:
            parts = [part for part in parts if part not in change.segments]
    return [*parts, root]


def _root(parts: Sequence[ClusterId], root: ClusterId) -> dict[str, Any]:
    return {"root_of": list(parts), "root": root}


def _head(cluster_id: ClusterId, head: ImageId) -> dict[str, Any]:
    return {"head_of": cluster_id, "head": head}
