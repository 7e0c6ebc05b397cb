"""Whether everything that people read agrees with the ledger. Pure: what was read goes in, disagreements come out.

The reference is the ledger folded (`neardup.clusters.ClusterState`). Nothing here reads an engine.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from neardup.clusters import ClusterState
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.errors import ClusterConflictError
from neardup.types import ClusterId, ClusterInfo, Code, Half, ImageId, Member, Placement, Segment

__all__ = [
    "ClusterEntry",
    "Disagreement",
    "FeedEntry",
    "IndexEntry",
    "Kind",
    "Place",
    "Touched",
    "compare_clusters",
    "compare_feed",
    "compare_index",
    "compare_ledgers",
    "compare_members",
    "compare_placements",
    "compare_published",
    "compare_segments",
    "digest_of_content",
    "fold",
    "read_through_feed",
]

Place = Literal["ledger", "graph", "index", "cache", "feed", "replay"]
Kind = Literal["lost", "doubled", "two-clusters", "differs", "unexpected", "behind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """The newest message of the change feed about an image, or what it comes to together with those about clusters."""

    segment: ClusterId
    cluster_id: ClusterId
    head: ImageId
    revision: int


_Value = Placement | ClusterInfo | Segment | FeedEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEntry:
    """The newest message of the change feed about a cluster."""

    root: ClusterId
    head: ImageId
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """What the index holds of an image. `content`: the digest of its code and its score embedding. `found_by_terms`:
    whether a search for all of its terms finds it, None when that was not asked."""

    version: int
    seq: int
    searchable: bool
    content: bytes
    found_by_terms: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """`subject` is an image id, a cluster id or a seq; `about` says which. `lost`: it should be there and is not.
    `doubled`: it is there twice, or was decided twice in one version. `two-clusters`: an image is read as a member of
    two clusters, or of another one than the ledger says. `differs`: something else about it is not as the ledger says.
    `unexpected`: the ledger does not know it. `behind`: a projection does not come to where the ledger is. `read_in`:
    the cluster as whose member it was read."""

    place: Place
    kind: Kind
    subject: str
    detail: str
    about: Literal["image", "cluster", "projection"] = "image"
    read_in: ClusterId | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.subject}: {self.kind}: {self.detail}"


def fold(entries: Iterable[Entry]) -> tuple[ClusterState, list[Disagreement]]:
    """The ledger folded, up to the first entry that cannot follow, and what is wrong with the ledger itself: seqs that
    are not dense, a version decided twice, an entry that contradicts those before it."""
    found: list[Disagreement] = []
    works: Counter[tuple[ImageId, int, int]] = Counter()
    state = ClusterState()
    for entry in entries:
        # What a person moved keeps its version, and so does who stands for others from now on.
        if isinstance(entry, Decision) and entry.command_id is None and entry.rule != "exemplar":
            works[entry.image_id, entry.version, entry.run] += 1
            was = state.placement(entry.image_id)
            if was is not None and (entry.version, entry.run) < (was.version, was.run):
                detail = f"version {entry.version} was decided after version {was.version}"
                found.append(Disagreement(place="ledger", kind="differs", subject=entry.image_id, detail=detail))
        try:
            state.apply(entry)
        except ClusterConflictError as exc:
            kind: Kind = "doubled" if entry.seq <= state.seq else "lost"
            found.append(Disagreement(place="ledger", kind=kind, subject=str(entry.seq), detail=str(exc)))
            break
    for (image_id, version, run), times in works.items():
        if times > 1:
            detail = f"version {version}, run {run} was decided {times} times"
            found.insert(0, Disagreement(place="ledger", kind="doubled", subject=image_id, detail=detail))
    return state, found


class Touched:
    """What entries change: by this one tells a disagreement from what changed while it was read."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._images: set[str] = set()
        self._clusters: set[str] = set()
        self._entered: set[str] = set()
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Take an entry in."""
        match entry:
            case Decision():
                self._images.add(entry.image_id)
                self._entered |= {entry.cluster_id, entry.segment}
                if entry.previous_cluster is not None:
                    self._entered.add(entry.previous_cluster)
            case ImageErased():
                self._images.add(entry.image_id)
                if entry.cluster_id is not None:
                    self._clusters.add(entry.cluster_id)
            case HeadChanged():
                self._clusters.add(entry.cluster_id)
            case ClusterMerged():
                self._clusters |= {entry.into, *entry.segments}
            case ClusterUnmerged():
                self._clusters |= {entry.out_of, *entry.segments}
            case _:
                pass

    def has(self, one: Disagreement, state: ClusterState) -> bool:
        """Whether these entries can be the reason."""
        if one.about == "cluster":
            info = state.cluster(ClusterId(one.subject))
            names = {one.subject} if info is None else {one.subject, info.cluster_id}
            return bool(names & (self._clusters | self._entered))
        placement = state.placement(ImageId(one.subject))
        names = set() if placement is None else {placement.cluster_id, placement.segment}
        return one.subject in self._images or bool(names & self._clusters)


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
    place: Place, state: ClusterState, found: Iterable[Placement], *, wanted: Iterable[ImageId] = ()
) -> Iterator[Disagreement]:
    """Every placement that was read must be the ledger's, once. `wanted`: those of these images must be there."""
    seen: dict[ImageId, Placement] = {}
    for placement in found:
        image_id, expected = placement.image_id, state.placement(placement.image_id)
        before = seen.get(image_id)
        seen[image_id] = placement
        if expected is None:
            detail = f"it is in cluster {placement.cluster_id!r}, the ledger does not have it"
            yield Disagreement(place=place, kind="unexpected", subject=image_id, detail=detail)
        elif before is not None:
            kind: Kind = "doubled" if before.cluster_id == placement.cluster_id else "two-clusters"
            detail = f"it is read in {before.cluster_id!r} and in {placement.cluster_id!r}"
            yield Disagreement(place=place, kind=kind, subject=image_id, detail=detail)
        elif expected != placement:
            kind = "differs" if expected.cluster_id == placement.cluster_id else "two-clusters"
            yield Disagreement(place=place, kind=kind, subject=image_id, detail=_differences(placement, expected))
    for image_id in wanted:
        expected = state.placement(image_id)
        if expected is not None and image_id not in seen:
            detail = f"it is not there, the ledger has it in cluster {expected.cluster_id!r}"
            yield Disagreement(place=place, kind="lost", subject=image_id, detail=detail)


def compare_clusters(
    state: ClusterState, infos: Mapping[ClusterId, ClusterInfo], asked: Iterable[ClusterId]
) -> Iterator[Disagreement]:
    """What the graph says of the clusters that were asked for, by the id that was asked for."""
    for cluster_id in asked:
        expected, info = state.cluster(cluster_id), infos.get(cluster_id)
        if expected == info:
            continue
        kind: Kind = "differs"
        if info is None:
            kind, detail = "lost", f"it is not there, the ledger has it with {expected.size if expected else 0} members"
        elif expected is None:
            kind = "unexpected"
            detail = f"a cluster of {info.size} members with head {info.head!r}, the ledger has none"
        else:
            detail = _differences(info, expected)
        yield Disagreement(place="graph", kind=kind, subject=cluster_id, detail=detail, about="cluster")


def compare_segments(
    state: ClusterState, found: Mapping[ClusterId, Sequence[Segment]], asked: Iterable[ClusterId]
) -> Iterator[Disagreement]:
    """The parts of the clusters that were asked for."""
    for cluster_id in asked:
        expected, parts = state.segments(cluster_id), tuple(found.get(cluster_id, ()))
        if expected != parts:
            wrong = [pair for pair in zip(parts, expected, strict=False) if pair[0] != pair[1]]
            detail = f"it has {len(parts)} parts, the ledger has {len(expected)}"
            if wrong:
                detail = f"its part {wrong[0][1].cluster_id!r}: {_differences(*wrong[0])}"
            yield Disagreement(place="graph", kind="differs", subject=cluster_id, detail=detail, about="cluster")


def compare_members(state: ClusterState, pages: Mapping[ClusterId, Sequence[Member]]) -> Iterator[Disagreement]:
    """The members of clusters: `pages` has all of them in the order in which they were read."""
    for cluster_id, found in pages.items():
        wanted = state.members(cluster_id).members
        if tuple(found) == wanted:
            continue
        expected = {member.image_id: member.seq for member in wanted}
        times = Counter(member.image_id for member in found)
        seqs = {member.image_id: member.seq for member in found}
        wrong = False
        for image_id, seq in seqs.items():
            detail = ""
            kind: Kind = "differs"
            if image_id not in expected:
                known = state.placement(image_id)
                kind = "unexpected" if known is None else "two-clusters"
                says = "does not have it" if known is None else f"has it in {known.cluster_id!r}"
                detail = f"it is read as a member of {cluster_id!r}, the ledger {says}"
            elif times[image_id] > 1:
                kind, detail = "doubled", f"it is read {times[image_id]} times as a member of {cluster_id!r}"
            elif seq != expected[image_id]:
                detail = f"its seq as a member of {cluster_id!r} is {seq}, the ledger has {expected[image_id]}"
            if detail:
                wrong = True
                yield Disagreement(place="graph", kind=kind, subject=image_id, detail=detail, read_in=cluster_id)
        for image_id in expected.keys() - seqs.keys():
            wrong = True
            detail = f"it is not read as a member of {cluster_id!r}, the ledger has it there"
            yield Disagreement(place="graph", kind="lost", subject=image_id, detail=detail, read_in=cluster_id)
        if not wrong:
            detail = "its members are not read in the ledger's order"
            yield Disagreement(place="graph", kind="differs", subject=cluster_id, detail=detail, about="cluster")


def compare_index(
    state: ClusterState,
    found: Mapping[ImageId, IndexEntry],
    asked: Iterable[ImageId],
    contents: Mapping[ImageId, bytes],
) -> Iterator[Disagreement]:
    """Every image that was asked for must be indexed as its decision says, with the content that was decided about,
    where that is known (`contents`), and searches must find it if it is to be found."""
    for image_id in asked:
        placement, entry = state.placement(image_id), found.get(image_id)
        if placement is None:
            if entry is not None:
                detail = "the index holds it, the ledger does not have it"
                yield Disagreement(place="index", kind="unexpected", subject=image_id, detail=detail)
            continue
        if entry is None:
            detail = "the index does not hold it"
            yield Disagreement(place="index", kind="lost", subject=image_id, detail=detail)
            continue
        has = {"version": entry.version, "seq": entry.seq, "searchable": entry.searchable}
        should = {"version": placement.version, "seq": placement.seq, "searchable": placement.indexed}
        wrong = [f"{name} is {has[name]}, the ledger says {should[name]}" for name in has if has[name] != should[name]]
        if entry.content != contents.get(image_id, entry.content):
            wrong.append("its terms or its embedding are not those that were decided about")
        if entry.found_by_terms not in {None, placement.indexed}:
            wrong.append(f"a search for its terms {'finds' if entry.found_by_terms else 'does not find'} it")
        if wrong:
            yield Disagreement(place="index", kind="differs", subject=image_id, detail="; ".join(wrong))


def digest_of_content(code: Code, score: Half) -> bytes:
    """16 bytes that differ when the code or the score embedding, as the index stores them, do."""
    digest = hashlib.blake2b(code.astype("<u2").tobytes(), digest_size=16)
    digest.update(score.astype("<f2").tobytes())
    return digest.digest()


def read_through_feed(image: FeedEntry, clusters: Mapping[ClusterId, ClusterEntry]) -> FeedEntry:
    """Where an image is by the change feed, as docs/messages.md tells consumers to read it."""
    found, newest = image, image.revision
    part = clusters.get(image.segment)
    if part is not None and part.revision > newest:
        found, newest = replace(found, cluster_id=part.root, head=part.head), part.revision
    root = clusters.get(found.cluster_id)
    if root is not None and root.revision > newest:
        found = replace(found, head=root.head)
    return found


def compare_feed(
    state: ClusterState,
    images: Mapping[ImageId, FeedEntry],
    clusters: Mapping[ClusterId, ClusterEntry],
    asked: Iterable[ImageId],
) -> Iterator[Disagreement]:
    """`images`, `clusters`: the message with the highest revision about each."""
    for image_id in asked:
        placement, entry = state.placement(image_id), images.get(image_id)
        if placement is None:
            if entry is not None:
                detail = f"the feed has it in cluster {entry.cluster_id!r}, the ledger does not have it"
                yield Disagreement(place="feed", kind="unexpected", subject=image_id, detail=detail)
            continue
        if entry is None:
            detail = "the feed does not have it"
            yield Disagreement(place="feed", kind="lost", subject=image_id, detail=detail)
            continue
        found = read_through_feed(entry, clusters)
        expected = replace(found, cluster_id=placement.cluster_id, head=placement.head, revision=placement.seq)
        if found != expected:
            kind: Kind = "differs" if found.cluster_id == placement.cluster_id else "two-clusters"
            yield Disagreement(place="feed", kind=kind, subject=image_id, detail=_differences(found, expected))


def compare_ledgers(ledger: Sequence[Entry], replayed: Sequence[Entry]) -> Iterator[Disagreement]:
    """What answering the same requests again came to must be the ledger, entry by entry."""
    for expected, found in zip(ledger, replayed, strict=False):
        if expected != found:
            yield Disagreement(
                place="replay", kind="differs", subject=str(expected.seq), detail=f"{found}, the ledger says {expected}"
            )
            return  # what follows differs for that reason
    if len(ledger) != len(replayed):
        kind: Kind = "lost" if len(replayed) < len(ledger) else "unexpected"
        detail = f"{len(replayed)} entries, the ledger has {len(ledger)}"
        yield Disagreement(place="replay", kind=kind, subject=str(min(len(ledger), len(replayed)) + 1), detail=detail)


def _differences(found: _Value, expected: _Value) -> str:
    """The fields in which two values of one class differ, in words."""
    pairs = [(name, getattr(found, name), getattr(expected, name)) for name in type(found).__slots__]
    return "; ".join(f"{name} is {has!r}, the ledger says {should!r}" for name, has, should in pairs if has != should)
