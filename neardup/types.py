"""The values that all stages share: frozen, slotted, keyword-only; no I/O.

Words are those of docs/words.md. Arrays in these values are never written to after construction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NewType, Self

import numpy as np
import numpy.typing as npt

__all__ = [
    "Candidate",
    "CandidateList",
    "ClusterId",
    "ClusterInfo",
    "Code",
    "Embeddings",
    "Half",
    "Image",
    "ImageId",
    "IndexedImage",
    "LshTerm",
    "Match",
    "Member",
    "MemberOrder",
    "Page",
    "PairBatch",
    "PastCluster",
    "Placement",
    "Position",
    "Probe",
    "Proposal",
    "Requeue",
    "Scores",
    "SearchFilter",
    "Segment",
    "Source",
    "Vector",
]

ImageId = NewType("ImageId", str)
ClusterId = NewType("ClusterId", str)
LshTerm = NewType("LshTerm", str)

Vector = npt.NDArray[np.float32]
"""One embedding, shape (dimension,), or several, shape (n, dimension)."""

Half = npt.NDArray[np.float16]
"""The same as it is stored and scored, so every run agrees."""

Code = npt.NDArray[np.unsignedinteger[Any]]
"""LSH terms as numbers: of one image, shape (tables + words,); of several, shape (n, tables + words). First the bucket
of each table, then the words, see `neardup.words`. uint16 where embeddings have no words, else uint32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embeddings:
    """Both embeddings of one picture: `lsh` for the terms, `score` for the scorer. Each of shape (dimension,)."""

    lsh: Vector
    score: Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Image:
    """An image whose two embeddings have met: the unit of work, identified by (image_id, version, run)."""

    image_id: ImageId
    version: int
    run: int = 0
    lsh: Vector
    score: Vector
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndexedImage:
    """What the index holds of an image. `seq` is that of the decision which wrote it. One that is not `searchable` can
    be read by its id but is no candidate: enough others of its cluster stand for it."""

    image_id: ImageId
    version: int
    seq: int
    code: Code
    score: Half
    metadata: Mapping[str, str] = field(default_factory=dict)
    searchable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Which images may be candidates, by their metadata.

    `equal`: for each name the values of which an image must have one. `created_from_ms` (included) and
    `created_before_ms` (excluded) bound the metadata `created_at`, in milliseconds since the epoch; an image without it
    is in no range.
    """

    equal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    created_from_ms: int | None = None
    created_before_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An image being looked up: the terms to ask for, the ids that must not come back, and what candidates must be."""

    terms: tuple[LshTerm, ...]
    exclude: tuple[ImageId, ...] = ()
    where: SearchFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """An indexed image that shares `overlap` >= 1 terms with a probe, with its embedding for the scorer."""

    image_id: ImageId
    overlap: int
    score: Half


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateList:
    """The top of the whole corpus by term overlap, column by column: candidates are many, and most of them are only
    scored. `image_ids` and `overlap` of length n, `scores` of shape (n, dimension).

    `cutoff_overlap` is the overlap of the last candidate when the list was cut at the candidate limit, else 0;
    `ties_at_cutoff` says whether images with that same overlap may have been left out.
    `searched_documents` counts the searchable images at that moment; `took_ms` is the engine's own time.
    """

    image_ids: Sequence[ImageId]
    overlap: npt.NDArray[np.int32]
    scores: Half
    cutoff_overlap: int = 0
    ties_at_cutoff: bool = False
    searched_documents: int = 0
    took_ms: float = 0.0

    @classmethod
    def of(
        cls,
        candidates: Sequence[Candidate],
        *,
        cutoff_overlap: int = 0,
        ties_at_cutoff: bool = False,
        searched_documents: int = 0,
    ) -> Self:
        """Of single candidates, the best first; embeddings of any precision."""
        scores = np.stack([one.score for one in candidates]) if candidates else np.empty((0, 0))
        return cls(
            image_ids=[one.image_id for one in candidates],
            overlap=np.array([one.overlap for one in candidates], dtype=np.int32),
            scores=scores.astype(np.float16, copy=False),
            cutoff_overlap=cutoff_overlap,
            ties_at_cutoff=ties_at_cutoff,
            searched_documents=searched_documents,
        )

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Each by itself."""
        rows = zip(self.image_ids, self.overlap.tolist(), self.scores, strict=True)
        return tuple(Candidate(image_id=image_id, overlap=overlap, score=score) for image_id, overlap, score in rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairBatch:
    """`n` pairs to score: `candidates` of shape (n, dimension), each with the row of its probe in `probes`, of shape
    (m, dimension); `probe_of` and `overlap` of shape (n,). Best with the candidates of a probe one after the other."""

    probes: Half
    candidates: Half
    probe_of: npt.NDArray[np.intp]
    overlap: npt.NDArray[np.int32]

    @classmethod
    def of_pairs(cls, probes: Vector | Half, candidates: Vector | Half, overlap: npt.NDArray[np.int32]) -> Self:
        """Of as many probes as candidates, of any precision."""
        rounded = probes.astype(np.float16), candidates.astype(np.float16)
        return cls(probes=rounded[0], candidates=rounded[1], probe_of=np.arange(len(probes)), overlap=overlap)

    @classmethod
    def in_order(cls, probes: Half, counts: Sequence[int], candidates: Half, overlap: npt.NDArray[np.int32]) -> Self:
        """Of probes with so many candidates each, those of one after those of the other."""
        return cls(
            probes=probes, candidates=candidates, probe_of=np.repeat(np.arange(len(probes)), counts), overlap=overlap
        )

    def __len__(self) -> int:
        return len(self.candidates)

    def part(self, rows: slice | npt.NDArray[np.intp]) -> Self:
        """Some of the pairs."""
        return replace(self, candidates=self.candidates[rows], probe_of=self.probe_of[rows], overlap=self.overlap[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Probabilities of being near-duplicates, shape (n,), float32, and the model version that made them."""

    values: Vector
    model_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A candidate with its term overlap and its score."""

    image_id: ImageId
    overlap: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a message was read: topic, partition, offset."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proposal:
    """The scored candidates of one image, not yet decided.

    `query`: what it asked for, shape (tables + words, 1 + probes), its own code in column 0. `searched_seq`: the search
    covered every decision up to this one. `candidate_limit`: how deep it went, `cutoff_overlap`: see CandidateList.
    `matches`: best score first, cut to what an assignment can need. `source`: topic, partition and offset the image was
    read from.
    """

    image_id: ImageId
    version: int
    run: int
    query: Code
    score: Half
    metadata: Mapping[str, str]
    searched_seq: int
    candidate_limit: int
    cutoff_overlap: int
    matches: tuple[Match, ...]
    match_threshold: float
    witness_bound: float
    head_bound: float
    lsh_version: str
    model_version: int
    source: Source
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requeue:
    """A proposal handed back to be searched again, `candidate_limit` deep if that is given."""

    proposal: Proposal
    candidate_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a projection has come: the last applied seq, the offset of that entry in the ledger topic and of the
    proposal or command it answered. Before the first entry: seq 0, offsets -1."""

    seq: int = 0
    ledger_offset: int = -1
    proposal_offset: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an image is: its cluster, that cluster's head, the decided version, the seq of that decision, and whether
    searches find it. `segment`: the part of the cluster that holds it, see `ClusterInfo`."""

    image_id: ImageId
    cluster_id: ClusterId
    segment: ClusterId
    head: ImageId
    version: int
    run: int
    seq: int
    indexed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInfo:
    """A cluster: its head, its number of members (head included), the seq that made it, and how many of the members are
    exemplars: those that searches find.

    A cluster consists of segments: its own, named like itself, and those of the clusters that were merged into it,
    `merged`, in the order in which members are read; its own comes last. New members enter its own segment.
    """

    cluster_id: ClusterId
    head: ImageId
    size: int
    since: int
    exemplars: int
    merged: tuple[ClusterId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """What a graph that has applied `position`, or more, says of some images: where those are that were decided, and
    the clusters that hold them."""

    position: Position
    placements: Mapping[ImageId, Placement]
    clusters: Mapping[ClusterId, ClusterInfo]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCluster:
    """A cluster as it was when the entry `seq` of the ledger had been applied: its head and its number of members."""

    cluster_id: ClusterId
    head: ImageId
    size: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a cluster: a cluster that was merged into it, or its own part.

    `parent`: the cluster it was merged into at that time, None for the own part. `size` counts the members of this part
    alone, `first` is the oldest of them, None when there is none. `head`: that of the cluster when it was merged.
    """

    cluster_id: ClusterId
    parent: ClusterId | None
    head: ImageId
    size: int
    first: ImageId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a cluster; `seq` orders the members of a segment."""

    image_id: ImageId
    seq: int


MemberOrder = Literal["oldest", "newest"]
"""`oldest`: segment by segment, in each in the order they joined. `newest`: by seq over all segments, the latest
first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Members in the order that was asked for; `after` is the cursor of the next page in that order, None on the last.

    A cursor is a short text without blanks. From the oldest it stays valid for as long as its segment is part of the
    cluster, from the newest always.
    """

    members: tuple[Member, ...]
    after: str | None
