"""The entries of the ledger: what was decided, by whom and why. Frozen values, no I/O.

Every entry has its own dense `seq`, starting at 1, and answers one record of the topic of proposals: a proposal gives
at most one entry, a person's command one or several, all with its `command_id` and its offset.
"""

from dataclasses import dataclass
from typing import Final, Literal

from neardup.types import ClusterId, ImageId, Match, Source

__all__ = [
    "ASSIGNER",
    "NOT_SAID",
    "Barred",
    "ClusterMerged",
    "ClusterQuarantined",
    "ClusterUnmerged",
    "Decision",
    "Entry",
    "Evidence",
    "HeadChanged",
    "ImageErased",
    "Link",
    "NotMoved",
    "Refused",
    "Rule",
    "Unchanged",
    "Unforced",
    "VerdictGiven",
    "VerdictWithdrawn",
    "clusters_of",
    "images_of",
]

ASSIGNER: Final = "assigner"
"""The actor of what nobody commanded."""

Rule = Literal[
    "no-candidate",
    "below-threshold",
    "chain-guard",
    "barred",
    "quarantined",
    "best-match",
    "head-kept",
    "must-link",
    "forced",
    "moved",
    "rolled-back",
    "verdict-left",
    "exemplar",
]
"""Why an image went where it is. The first five make it a head. `head-kept`: a head that has members and came again in
a new version stays head. `exemplar`: it stays where it is and stands for its cluster in searches, since all who did
have left. The others are people's words: `must-link`, it belongs with another image; `forced`, somebody put it there;
`moved`, somebody moved it; `rolled-back`, somebody undid decisions, this image's among them; `verdict-left`, it left
because of a cannot-link."""

NOT_SAID: Final = frozenset[Rule]({"rolled-back", "exemplar"})
"""Rules of decisions that follow from what became of others, and say nothing about the image."""

Link = Literal["must-link", "cannot-link"]
"""What a person says of two images: always in one cluster, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """A cluster that the image matches and may not join. `rule`: `cannot-link`, because of the member `by`; or
    `quarantined`, then `by` is None."""

    cluster_id: ClusterId
    rule: Literal["cannot-link", "quarantined"]
    by: ImageId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the decision about a proposal was made from.

    `matches`: those that mattered, best score first. `bridges`: other clusters that it matches. `witness_bound`: None
    in entries from before there was one. `head_score`: the score against the head, where the chain guard asked for it.
    `source`: where the image was read.
    """

    matches: tuple[Match, ...]
    bridges: tuple[ClusterId, ...]
    barred: tuple[Barred, ...] = ()
    match_threshold: float
    witness_bound: float | None = None
    head_bound: float
    head_score: float | None
    lsh_version: str
    model_version: int
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What all entries have. `actor`: the assigner, or the person whose command it was, with the `reason` that was
    given. `proposal_offset`: of the answered record. `at_ms`: when that record was made."""

    seq: int
    actor: str
    reason: str | None = None
    command_id: str | None = None
    proposal_offset: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(_Entry):
    """Image -> cluster, with everything that led to it.

    `cluster_id` is the root and `head` its head after this decision; `segment` is the part of it that holds the image
    (the root itself, unless the image stays in a cluster that was merged into it). `previous_cluster` is set when the
    image was in another cluster before, `previous_seq` is the seq of its decision before this one, None for the first.
    `indexed` is False when enough members like it are indexed: searches need not find this one too. `evidence` is None
    when a person decided, and by the rule `exemplar`.
    """

    kind: Literal["decision"] = "decision"
    image_id: ImageId
    version: int
    run: int
    cluster_id: ClusterId
    segment: ClusterId
    head: ImageId
    previous_cluster: ClusterId | None
    previous_seq: int | None
    rule: Rule
    indexed: bool
    evidence: Evidence | None

    @property
    def matches(self) -> tuple[Match, ...]:
        """The matches that mattered; none when a person decided."""
        return () if self.evidence is None else self.evidence.matches

    @property
    def bridges(self) -> tuple[ClusterId, ...]:
        """Other clusters with a match; none when a person decided."""
        return () if self.evidence is None else self.evidence.bridges


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChanged(_Entry):
    """Another member is the head of a cluster now."""

    kind: Literal["head-changed"] = "head-changed"
    cluster_id: ClusterId
    head: ImageId
    previous_head: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMerged(_Entry):
    """`cluster_id` is a part of `into` now, whose head is `head`. `segments`: the parts that came with it, itself last,
    in the order in which members are read."""

    kind: Literal["cluster-merged"] = "cluster-merged"
    cluster_id: ClusterId
    into: ClusterId
    head: ImageId
    segments: tuple[ClusterId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterUnmerged(_Entry):
    """`cluster_id` is a cluster of its own again, with its `head` and the parts it had, `segments`, itself last."""

    kind: Literal["cluster-unmerged"] = "cluster-unmerged"
    cluster_id: ClusterId
    out_of: ClusterId
    head: ImageId
    segments: tuple[ClusterId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictGiven(_Entry):
    """A person says that two images belong together, or do not."""

    kind: Literal["verdict-given"] = "verdict-given"
    link: Link
    a: ImageId
    b: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictWithdrawn(_Entry):
    """The verdict about two images no longer holds. Nobody is moved."""

    kind: Literal["verdict-withdrawn"] = "verdict-withdrawn"
    link: Link
    a: ImageId
    b: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Unforced(_Entry):
    """A forced image stays where it is and is decided like any other from now on."""

    kind: Literal["unforced"] = "unforced"
    image_id: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageErased(_Entry):
    """The image is gone and never decided again. `cluster_id`: where it was, None when it was not decided yet; `head`:
    the head of that cluster now, None when no member is left."""

    kind: Literal["image-erased"] = "image-erased"
    image_id: ImageId
    cluster_id: ClusterId | None
    head: ImageId | None
    previous_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterQuarantined(_Entry):
    """From now on the cluster takes (`on` False) or does not take (`on` True) new members by itself."""

    kind: Literal["cluster-quarantined"] = "cluster-quarantined"
    cluster_id: ClusterId
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMoved(_Entry):
    """The images of a move that stay where they are, each with the reason; the others were moved."""

    kind: Literal["not-moved"] = "not-moved"
    images: tuple[tuple[ImageId, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged(_Entry):
    """The command asked for what is already so; `because` says what."""

    kind: Literal["unchanged"] = "unchanged"
    command: str
    images: tuple[ImageId, ...]
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(_Entry):
    """The command has no effect; `because` says why. `command`: what it was, in words; `images`: whom it named."""

    kind: Literal["refused"] = "refused"
    command: str
    images: tuple[ImageId, ...]
    because: str


Entry = (
    Decision
    | HeadChanged
    | ClusterMerged
    | ClusterUnmerged
    | VerdictGiven
    | VerdictWithdrawn
    | Unforced
    | ImageErased
    | ClusterQuarantined
    | NotMoved
    | Unchanged
    | Refused
)


def images_of(entry: Entry) -> tuple[ImageId, ...]:
    """The images that an entry names as its objects."""
    match entry:
        case Decision() | Unforced() | ImageErased():
            return (entry.image_id,)
        case HeadChanged():
            return entry.head, entry.previous_head
        case VerdictGiven() | VerdictWithdrawn():
            return entry.a, entry.b
        case NotMoved():
            return tuple(image_id for image_id, _ in entry.images)
        case Unchanged() | Refused():
            return entry.images
        case ClusterMerged() | ClusterUnmerged() | ClusterQuarantined():
            return ()


def clusters_of(entry: Entry) -> tuple[ClusterId, ...]:
    """The clusters, and the parts of clusters, that an entry is about."""
    named: tuple[ClusterId | None, ...]
    match entry:
        case Decision():
            named = (entry.cluster_id, entry.segment, entry.previous_cluster)
        case HeadChanged() | ClusterQuarantined() | ImageErased():
            named = (entry.cluster_id,)
        case ClusterMerged():
            named = (entry.cluster_id, entry.into, *entry.segments)
        case ClusterUnmerged():
            named = (entry.cluster_id, entry.out_of, *entry.segments)
        case _:
            named = ()
    return tuple(dict.fromkeys(name for name in named if name is not None))
