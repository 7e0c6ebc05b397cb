"""Entries of the ledger as sentences for people."""

from typing import Final

from neardup.entries import (
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

__all__ = ["sentence_of"]


_WORDS: Final[dict[type[Entry], str]] = {
    HeadChanged: "{0.head} is the head of cluster {0.cluster_id}, no longer {0.previous_head}",
    ClusterMerged: "cluster {0.cluster_id} is a part of cluster {0.into}, whose head is {0.head}",
    ClusterUnmerged: "cluster {0.cluster_id} is no longer a part of {0.out_of}; its head is {0.head}",
    VerdictGiven: "{0.a} {0.link} {0.b}",
    VerdictWithdrawn: "no longer: {0.a} {0.link} {0.b}",
    Unforced: "{0.image_id} is not forced any more",
    Unchanged: "nothing to do: {0.because}",
    Refused: "refused: {0.because}",
}


def sentence_of(entry: Entry) -> str:
    """One entry in one line; one line an image where some were not moved."""
    match entry:
        case Decision():
            came = "" if entry.previous_cluster is None else f", before in cluster {entry.previous_cluster}"
            return f"{entry.image_id} is in the cluster of {entry.head} ({entry.rule}){came}"
        case ImageErased():
            return f"{entry.image_id} is erased" + (f"; the head of its cluster is {entry.head}" if entry.head else "")
        case ClusterQuarantined():
            return f"cluster {entry.cluster_id} takes {'no' if entry.on else 'again'} new members by itself"
        case NotMoved():
            return "\n".join(f"not moved: {image_id} {why}" for image_id, why in entry.images)
        case _:
            return _WORDS[type(entry)].format(entry)
