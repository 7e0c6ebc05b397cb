"""The values that all stages share: frozen, slotted, keyword-only; no I/O.

Words are those of docs/words.md. Arrays in these values are never written to after construction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

import numpy as np
import numpy.typing as npt

__all__ = [
    "Candidate",
    "CandidateList",
    "ClusterId",
    "ClusterInfo",
    "Code",
    "Decision",
    "Embeddings",
    "Image",
    "ImageId",
    "IndexedImage",
    "LshTerm",
    "Match",
    "Member",
    "Page",
    "PairBatch",
    "Placement",
    "Position",
    "Probe",
    "Proposal",
    "Rule",
    "Scores",
    "SearchFilter",
    "Source",
    "Vector",
]

ImageId = NewType("ImageId", str)
ClusterId = NewType("ClusterId", str)
LshTerm = NewType("LshTerm", str)

Vector = npt.NDArray[np.float32]
"""One embedding, shape (dimension,), or several, shape (n, dimension)."""

Code = npt.NDArray[np.uint16]
"""Buckets, uint16: of one image, shape (tables,); of several, shape (n, tables). LSH terms are printed from them."""

Rule = Literal["no-candidate", "below-threshold", "chain-guard", "best-match", "head-kept"]
"""Why an image went where it is. The first three make it a head; `head-kept`: a head that has members and
came again in a new version stays head."""


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
    score: Vector
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
    score: Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateList:
    """The top of the whole corpus by term overlap.

    `cutoff_overlap` is the overlap of the last candidate when the list was cut at the candidate limit, else 0;
    `ties_at_cutoff` says whether images with that same overlap may have been left out.
    `searched_documents` counts the searchable images at that moment; `took_ms` is the engine's own time.
    """

    candidates: tuple[Candidate, ...]
    cutoff_overlap: int = 0
    ties_at_cutoff: bool = False
    searched_documents: int = 0
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairBatch:
    """`n` pairs to score: `probes` and `candidates` of shape (n, dimension), `overlap` of shape (n,), int32."""

    probes: Vector
    candidates: Vector
    overlap: npt.NDArray[np.int32]


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

    `query`: the buckets it asked for, shape (tables, 1 + probes), its own code in column 0. `searched_seq`: the search
    covered every decision up to this one. `matches`: best score first, cut to what an assignment can need. `source`:
    topic, partition and offset the image was read from.
    """

    image_id: ImageId
    version: int
    run: int
    query: Code
    score: Vector
    metadata: Mapping[str, str]
    searched_seq: int
    matches: tuple[Match, ...]
    match_threshold: float
    head_bound: float
    lsh_version: str
    model_version: int
    source: Source
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One entry of the ledger: image -> cluster, with everything that led to it.

    `seq` is dense and starts at 1. `head` is the head of `cluster_id` after this decision. `previous_cluster` is set
    when the image was in another cluster before. `bridges` are other clusters with a member at or above the threshold.
    `indexed` is False when enough members like it are indexed: searches need not find this one too.
    """

    seq: int
    image_id: ImageId
    version: int
    run: int
    cluster_id: ClusterId
    head: ImageId
    previous_cluster: ClusterId | None
    rule: Rule
    matches: tuple[Match, ...]
    bridges: tuple[ClusterId, ...]
    match_threshold: float
    head_bound: float
    head_score: float | None
    lsh_version: str
    model_version: int
    indexed: bool
    proposal_offset: int
    source: Source
    actor: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a projection has come: the last applied seq, the offset of that entry in the ledger topic and of the
    proposal it answered. Before the first decision: seq 0, offsets -1."""

    seq: int = 0
    ledger_offset: int = -1
    proposal_offset: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an image is: its cluster, that cluster's head, the decided version, the seq of that decision, and whether
    searches find it."""

    image_id: ImageId
    cluster_id: ClusterId
    head: ImageId
    version: int
    run: int
    seq: int
    indexed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInfo:
    """A cluster: its head, its number of members (head included), the seq that made it, and how many of the members are
    exemplars: those that searches find."""

    cluster_id: ClusterId
    head: ImageId
    size: int
    since: int
    exemplars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a cluster; `seq` orders members and serves as page cursor."""

    image_id: ImageId
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Members in the order they joined; `after` is the cursor of the next page, None on the last."""

    members: tuple[Member, ...]
    after: int | None
