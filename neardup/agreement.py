"""Whether everything that people read agrees with the ledger. Pure: what was read goes in, disagreements come out.

The reference is the ledger folded (`neardup.clusters.ClusterState`). Nothing here reads an engine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neardup.clusters import ClusterState
from neardup.errors import ClusterConflictError
from neardup.types import ClusterId, ClusterInfo, Decision, ImageId, IndexedImage, Page, Placement, Proposal

__all__ = [
    "Disagreement",
    "FeedEntry",
    "Kind",
    "Place",
    "compare_clusters",
    "compare_feed",
    "compare_index",
    "compare_ledgers",
    "compare_placements",
    "compare_published",
    "fold",
]

Place = Literal["ledger", "graph", "index", "cache", "feed", "replay"]
Kind = Literal["lost", "doubled", "two-clusters", "differs", "unexpected"]
FeedEntry = tuple[ClusterId, ImageId, int]
"""Cluster, head and revision, as the change feed has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """`subject` is an image id, a cluster id or a seq. `lost`: it should be there and is not. `doubled`: it is there
    twice, or was decided twice in one version. `two-clusters`: an image is read as a member of two clusters, or of
    another one than the ledger says. `differs`: something else about it is not as the ledger says. `unexpected`: the
    ledger does not know it."""

    place: Place
    kind: Kind
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.subject}: {self.kind}: {self.detail}"


def fold(decisions: Sequence[Decision]) -> tuple[ClusterState, list[Disagreement]]:
    """The ledger folded, up to the first decision that cannot follow, and what is wrong with the ledger itself: seqs
    that are not dense, a version decided twice, a decision that contradicts those before it."""
    found: list[Disagreement] = []
    works = Counter((decision.image_id, decision.version, decision.run) for decision in decisions)
    for (image_id, version, run), times in works.items():
        if times > 1:
            detail = f"version {version}, run {run} was decided {times} times"
            found.append(Disagreement(place="ledger", kind="doubled", subject=image_id, detail=detail))
    state = ClusterState()
    for decision in decisions:
        was = state.placement(decision.image_id)
        if was is not None and (decision.version, decision.run) < (was.version, was.run):
            detail = f"version {decision.version} was decided after version {was.version}"
            found.append(Disagreement(place="ledger", kind="differs", subject=decision.image_id, detail=detail))
        try:
            state.apply(decision)
        except ClusterConflictError as exc:
            kind: Kind = "doubled" if decision.seq <= state.seq else "lost"
            found.append(Disagreement(place="ledger", kind=kind, subject=str(decision.seq), detail=str(exc)))
            break
    return state, found


def compare_published(state: ClusterState, published: Mapping[ImageId, int]) -> Iterator[Disagreement]:
    """Every image must be decided in the newest version that was published, and nothing else may be."""
    for image_id, version in published.items():
        placement = state.placement(image_id)
        if placement is None or placement.version < version:
            detail = f"version {version} was published, {placement and placement.version} is decided"
            yield Disagreement(place="ledger", kind="lost", subject=image_id, detail=detail)
        elif placement.version > version:
            detail = f"version {placement.version} is decided, only {version} was published"
            yield Disagreement(place="ledger", kind="unexpected", subject=image_id, detail=detail)
    for placement in state.placements():
        if placement.image_id not in published:
            yield Disagreement(
                place="ledger", kind="unexpected", subject=placement.image_id, detail="it was never published"
            )


def compare_placements(
    place: Place, state: ClusterState, found: Iterable[Placement], *, complete: bool = True
) -> Iterator[Disagreement]:
    """Every placement that was read must be the ledger's, once. `complete`: and all must be there."""
    seen: dict[ImageId, Placement] = {}
    for placement in found:
        image_id, expected = placement.image_id, state.placement(placement.image_id)
        before = seen.get(image_id)
        seen[image_id] = placement
        if expected is None:
            kind: Kind = "unexpected"
        elif before is not None:
            kind = "doubled" if before.cluster_id == placement.cluster_id else "two-clusters"
        elif expected.cluster_id != placement.cluster_id:
            kind = "two-clusters"
        elif expected != placement:
            kind = "differs"
        else:
            continue
        yield Disagreement(place=place, kind=kind, subject=image_id, detail=f"{placement}, the ledger says {expected}")
    if complete:
        for expected in state.placements():
            if expected.image_id not in seen:
                yield Disagreement(place=place, kind="lost", subject=expected.image_id, detail=f"absent: {expected}")


def compare_clusters(
    state: ClusterState, infos: Mapping[ClusterId, ClusterInfo], pages: Mapping[ClusterId, Page]
) -> Iterator[Disagreement]:
    """Every cluster, and all of its members in order: `pages` holds one page with everything, for each cluster."""
    member_of: dict[ImageId, ClusterId] = {}
    for cluster_id, page in pages.items():
        for member in page.members:
            other = member_of.setdefault(member.image_id, cluster_id)
            if other != cluster_id:
                detail = f"a member of {other} and of {cluster_id}"
                yield Disagreement(place="graph", kind="two-clusters", subject=member.image_id, detail=detail)
    for expected in state.clusters():
        cluster_id = expected.cluster_id
        info, found, wanted = infos.get(cluster_id), pages.get(cluster_id), state.members(cluster_id)
        if info is None or found is None:
            yield Disagreement(place="graph", kind="lost", subject=cluster_id, detail=f"absent: {expected}")
        elif info != expected:
            yield Disagreement(
                place="graph", kind="differs", subject=cluster_id, detail=f"{info}, the ledger says {expected}"
            )
        elif found != wanted:
            yield Disagreement(
                place="graph", kind="differs", subject=cluster_id, detail=f"{found}, the ledger says {wanted}"
            )


def compare_index(
    state: ClusterState,
    images: Mapping[ImageId, IndexedImage],
    *,
    documents: int,
    proposals: Mapping[int, Proposal],
    decisions: Sequence[Decision],
) -> Iterator[Disagreement]:
    """Every image must be indexed as its last decision says, with the terms and the embedding of the proposal which
    that answered, where that can still be read (`proposals`, by offset). `documents`: how many the index counts."""
    last = {decision.image_id: decision for decision in decisions}
    count = 0
    for placement in state.placements():
        count += 1
        image_id, image = placement.image_id, images.get(placement.image_id)
        if image is None:
            yield Disagreement(place="index", kind="lost", subject=image_id, detail=f"absent: {placement}")
            continue
        expected = placement.version, placement.seq, placement.indexed
        found = image.version, image.seq, image.searchable
        if found != expected:
            detail = f"(version, seq, searchable) {found}, the ledger says {expected}"
            yield Disagreement(place="index", kind="differs", subject=image_id, detail=detail)
        proposal = proposals.get(last[image_id].proposal_offset)
        if proposal is not None and not _same_content(image, proposal):
            detail = f"its terms or its embedding are not those of proposal {last[image_id].proposal_offset}"
            yield Disagreement(place="index", kind="differs", subject=image_id, detail=detail)
    if documents != count:
        kind: Kind = "unexpected" if documents > count else "lost"
        yield Disagreement(
            place="index", kind=kind, subject="documents", detail=f"{documents}, the ledger says {count}"
        )


def compare_feed(state: ClusterState, latest: Mapping[ImageId, FeedEntry]) -> Iterator[Disagreement]:
    """`latest`: the change with the highest revision of each image."""
    for placement in state.placements():
        image_id = placement.image_id
        expected = placement.cluster_id, placement.head, placement.seq
        found = latest.get(image_id)
        if found is None:
            yield Disagreement(place="feed", kind="lost", subject=image_id, detail=f"absent: {expected}")
        elif found != expected:
            kind: Kind = "differs" if found[0] == expected[0] else "two-clusters"
            yield Disagreement(place="feed", kind=kind, subject=image_id, detail=f"{found}, the ledger says {expected}")
    for image_id in latest.keys() - {placement.image_id for placement in state.placements()}:
        yield Disagreement(place="feed", kind="unexpected", subject=image_id, detail=str(latest[image_id]))


def compare_ledgers(ledger: Sequence[Decision], replayed: Sequence[Decision]) -> Iterator[Disagreement]:
    """What deciding the same proposals again came to must be the ledger, decision by decision."""
    for expected, found in zip(ledger, replayed, strict=False):
        if expected != found:
            yield Disagreement(
                place="replay", kind="differs", subject=str(expected.seq), detail=f"{found}, the ledger says {expected}"
            )
            return  # what follows differs for that reason
    if len(ledger) != len(replayed):
        kind: Kind = "lost" if len(replayed) < len(ledger) else "unexpected"
        detail = f"{len(replayed)} decisions, the ledger has {len(ledger)}"
        yield Disagreement(place="replay", kind=kind, subject=str(min(len(ledger), len(replayed)) + 1), detail=detail)


def _same_content(image: IndexedImage, proposal: Proposal) -> bool:
    stored = proposal.score.astype(np.float16).astype(np.float32)
    return bool(np.array_equal(image.code, proposal.query[:, 0]) and np.array_equal(image.score, stored))
