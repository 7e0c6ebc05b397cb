"""Entries of the ledger as sentences for people."""

from collections.abc import Callable
from typing import Any, Final

from neardup.entries import (
    ASSIGNER,
    ClusterMerged,
    ClusterQuarantined,
    ClusterUnmerged,
    Decision,
    Entry,
    HeadChanged,
    ImageErased,
    NotMoved,
    Refused,
    Unchanged,
    Unforced,
    VerdictGiven,
    VerdictWithdrawn,
)

__all__ = ["said_by", "sentence_of"]


def sentence_of(entry: Entry) -> str:
    """What an entry says, in one line, without its seq, its time and who said it."""
    return _WORDS[type(entry)](entry)


def said_by(actor: str, reason: str | None) -> str:
    """Who said it and why, to be put behind a sentence; nothing for the assigner."""
    return "" if actor == ASSIGNER else f"  [{actor}{': ' + reason if reason else ''}]"


def _decided(entry: Decision) -> str:
    came = f" from {entry.previous_cluster}" if entry.previous_cluster else ""
    best = f"; best {entry.matches[0].image_id} {entry.matches[0].score:.4f}" if entry.matches else ""
    return f"{entry.image_id} -> cluster {entry.cluster_id}{came} ({entry.rule}{best})"


def _erased(entry: ImageErased) -> str:
    head = f", head {entry.head}" if entry.head else ""
    return f"{entry.image_id} erased" + (f" from cluster {entry.cluster_id}{head}" if entry.cluster_id else "")


_WORDS: Final[dict[type[Entry], Callable[[Any], str]]] = {
    Decision: _decided,
    HeadChanged: lambda entry: f"cluster {entry.cluster_id}: head {entry.head} instead of {entry.previous_head}",
    ClusterMerged: lambda entry: f"cluster {entry.cluster_id} merged into {entry.into}, head {entry.head}",
    ClusterUnmerged: lambda entry: f"cluster {entry.cluster_id} taken out of {entry.out_of} again, head {entry.head}",
    ImageErased: _erased,
    ClusterQuarantined: lambda entry: f"cluster {entry.cluster_id} {'' if entry.on else 'no longer '}quarantined",
    VerdictGiven: lambda entry: f"{entry.a} {entry.link} {entry.b}",
    VerdictWithdrawn: lambda entry: f"{entry.a} {entry.link} {entry.b}: withdrawn",
    Unforced: lambda entry: f"{entry.image_id} no longer forced",
    NotMoved: lambda entry: "not moved: " + "; ".join(f"{image_id} {why}" for image_id, why in entry.images),
    Refused: lambda entry: f"refused: {entry.command}: {entry.because}",
    Unchanged: lambda entry: f"no change: {entry.command}: {entry.because}",
}
