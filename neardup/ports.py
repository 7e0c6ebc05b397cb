"""What the pipelines need of the world, as Protocols whose docstrings are contracts.

Every port has an in-memory implementation in `neardup.testing`; tests/contracts runs one suite a port over it and
over the real engine. Implementations raise only `neardup.errors`; each method says which.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from neardup.commands import Request
from neardup.entries import Entry
from neardup.lanes import Lane, LaneState
from neardup.standing import StandingChange
from neardup.types import (
    CandidateList,
    ClusterId,
    ClusterInfo,
    Embeddings,
    ImageId,
    IndexedImage,
    MemberOrder,
    Page,
    PairBatch,
    PastCluster,
    Placement,
    Position,
    Probe,
    Requeue,
    Scores,
    Segment,
    Whereabouts,
)

__all__ = [
    "LARGEST_LIMIT",
    "Calibration",
    "CandidateSearch",
    "Clock",
    "ClusterStore",
    "Embedder",
    "FollowedLedger",
    "HeadCache",
    "History",
    "ImageIndex",
    "Ledger",
    "LedgerWriter",
    "PairScorer",
    "Projection",
    "ProposalLog",
    "SearchLimiter",
    "StandingLog",
    "Vouched",
]


LARGEST_LIMIT: Final = 10_000
"""The highest candidate limit of a search."""


class Clock(Protocol):
    """Time, as something a test can hold in its hand."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Embedder(Protocol):
    """The bytes of an image file -> both embeddings. A plug-in: entry point group `neardup.embedders`."""

    @property
    def version(self) -> str:
        """Changes whenever the same bytes may give other embeddings; part of the lsh_version."""
        ...

    @property
    def lsh_dimension(self) -> int:
        """How many numbers its LSH embeddings have, words included."""
        ...

    @property
    def words(self) -> int:
        """How many words of local points its LSH embeddings end with at most, two numbers each, see `neardup.words`;
        0: none."""
        ...

    @property
    def score_dimension(self) -> int: ...

    def embed(self, data: bytes) -> Embeddings:
        """Both embeddings, float32, finite.

        Raises InvalidImageError with a reason a person can act on, for anything that is not a decodable image.
        """
        ...


class CandidateSearch(Protocol):
    """Exact ranking of the whole corpus by term overlap. A plug-in: entry point group `neardup.searches`."""

    def position(self) -> Position:
        """The searchable position: a search that starts after this call sees every decision up to its seq.

        Raises SearchUnavailableError.
        """
        ...

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        """One list a probe, in the order of `probes`, each exact over all indexed images.

        Order: overlap descending, then older first (`seq` of the image ascending). `limit` 1 to `LARGEST_LIMIT`.
        A probe's `exclude` ids never come back, nor do images outside its `where`, nor those that are not searchable.
        Raises SearchUnavailableError also when any shard failed or timed out: never a shorter list.
        """
        ...

    def images(self, image_ids: Sequence[ImageId]) -> dict[ImageId, IndexedImage]:
        """The images among these ids, searchable or not, as of `position`. Raises SearchUnavailableError."""
        ...


class SearchLimiter(Protocol):
    """Permits to search: one limit for all processes of a namespace, in lanes that take nothing from one another.

    A permit is for this moment: whoever got it starts the searches at once, no later than SLACK_SECONDS after it called
    `acquire`. Then no second, wherever it begins, has more searches of a lane than the lane's limit.
    """

    def largest_request(self, lane: Lane) -> int:
        """The most searches that one `acquire` may ask for, at least 1: a small part of the limit. Larger batches are
        searched in parts."""
        ...

    def acquire(self, lane: Lane, searches: int) -> float:
        """0.0: all of `searches` are permitted. Else none is, nothing was taken, and these are the seconds after which
        to ask again; then there is room, unless others were faster. Does not wait. Goes on without Redis.

        Raises ValueError for less than 1 and for more than `largest_request`, which could never be permitted.
        """
        ...

    def state(self) -> tuple[LaneState, ...]:
        """Every lane now, for people to look at."""
        ...


class ImageIndex(Protocol):
    """The index as a projection of the ledger: the writing side."""

    def position(self) -> Position:
        """The last applied position (equal to the searchable one: `apply` returns after the refresh)."""
        ...

    def apply(self, images: Sequence[IndexedImage], removed: Sequence[ImageId], *, upto: Position) -> None:
        """Write and remove images, make that searchable on every shard copy, then record `upto`.

        Idempotent; a write with an older `seq` than the stored one changes nothing. Half applied batches are applied
        again by the caller. Raises SearchUnavailableError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What the scores of a model version mean: from `match_threshold` on a pair is a near-duplicate by itself, from
    `witness_bound` on it counts together with others (`neardup.witnesses`); the chain guard wants `head_bound` against
    the head. Probabilities in (0, 1], the first the highest."""

    model_version: int
    match_threshold: float
    witness_bound: float
    head_bound: float


class PairScorer(Protocol):
    """Probability that two images are near-duplicates. A plug-in: entry point group `neardup.scorers`."""

    def calibration(self, model_version: int) -> Calibration:
        """The calibration of a served version. Raises ConfigError for an unknown one."""
        ...

    def score(self, batch: PairBatch) -> Scores:
        """One probability in [0, 1] a pair, in order; the same pair always gives the same value. An empty batch gives
        an empty result and still names the model version. Raises ScorerUnavailableError."""
        ...


class Projection(Protocol):
    """What people read, made from the ledger entry by entry; it can be dropped and made again."""

    def position(self) -> Position:
        """The last applied position. Raises UnavailableError."""
        ...

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        """Apply consecutive entries, all or none; `upto` is the position of the last.

        Raises ClusterConflictError when the first is not the applied seq + 1 (nothing was written), UnavailableError
        when it may or may not have been applied: read `position()` again.
        """
        ...


@runtime_checkable
class Vouched(Projection, Protocol):
    """A projection that is read only while somebody vouches that it is current."""

    def vouch(self, seq: int, *, seconds_ago: float) -> None:
        """See HeadCache."""
        ...


class ClusterStore(Projection, Protocol):
    """The graph: image -> cluster -> head, and cluster -> members by segment and seq. A projection of the ledger whose
    position is written in the same transaction as its effects. The id of a cluster that was merged into another one
    stands for that other one, everywhere. Raises ClusterStoreUnavailableError."""

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement]:
        """Where these images are; ids never decided, and erased ones, are absent."""
        ...

    def whereabouts(self, image_ids: Sequence[ImageId]) -> Whereabouts:
        """Where these images are, and the clusters that hold them, from a graph that has applied at least the position
        that comes with it."""
        ...

    def clusters(self, cluster_ids: Sequence[ClusterId]) -> dict[ClusterId, ClusterInfo]:
        """The clusters that these ids stand for, by the id that was asked for; unknown and empty ones are absent."""
        ...

    def segments(self, cluster_id: ClusterId) -> tuple[Segment, ...]:
        """The parts of a cluster in the order in which members are read, its own last; none of an unknown one."""
        ...

    def members(
        self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
    ) -> Page:
        """The members behind the cursor `after` in this order; an unknown cluster gives an empty page.

        A walk gives each member that is in the cluster all the time exactly once, whoever joins meanwhile. From the
        oldest it also gives those who join; merging this cluster into another goes on with the members of that one; of
        a cluster that is merged into this one it gives none. From the newest it gives nobody who joins, and of merged
        clusters those older than the cursor. Raises InvalidCursorError, also for a cursor of the other order.
        """
        ...

    def placements_all(self) -> Iterator[Placement]:
        """Every placement, in no stated order; for export and verification, not for serving."""
        ...


class HeadCache(Projection, Protocol):
    """Image -> head in one round trip; never the truth. A projection of the ledger that may forget entries, and whose
    position goes back when it lost writes. An entry with a newer seq is never overwritten by an older one.

    It is read only while somebody vouches for it: after an outage it must catch up first.
    """

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement | None]:
        """What is known: a placement, or None for an image known to be undecided a moment ago. An absent id is a miss,
        which says nothing. Raises CacheBehindError when nobody has vouched for long, CacheUnavailableError."""
        ...

    def fill(self, placements: Sequence[Placement], *, absent: Sequence[ImageId] = (), read_at: int) -> None:
        """Remember what was read from the store when its applied seq was `read_at`: placements, and for a short time
        the images that were not there. Ignored when the cache has applied more than that (the read may be stale by
        now). Raises CacheUnavailableError."""
        ...

    def vouch(self, seq: int, *, seconds_ago: float) -> None:
        """Whatever was in the ledger `seconds_ago` seconds ago has been applied: the applied seq is `seq`. Ignored when
        the cache has lost that since. Raises CacheUnavailableError."""
        ...

    def begin(self, position: Position) -> None:
        """Be empty at this position, if there is none yet: older decisions are misses. Raises CacheUnavailableError."""
        ...

    def forget(self, image_ids: Iterable[ImageId], cluster_ids: Iterable[ClusterId]) -> None:
        """Forget what is known about these images and under these very cluster ids: misses from now on."""
        ...

    def clear(self, *, upto: Position | None = None) -> None:
        """Forget everything of this namespace, the position included, and that somebody vouched for it; with `upto`,
        stand there from then on: what the entries up to it say comes in by fills alone."""
        ...


class History(Projection, Protocol):
    """The entries of the ledger, to be looked up. A projection of it that is never forgotten.

    What is asked as of a `seq` equals the ledger folded up to there. Raises SearchUnavailableError; HistoryBehindError
    for a seq that has not been applied yet.
    """

    def entries(self, names: Sequence[str], *, before: int | None = None, limit: int = 100) -> tuple[Entry, ...]:
        """The newest entries with seq < `before` that name one of these as image, as cluster or as part of a cluster;
        newest first. `limit` 1 to 10,000."""
        ...

    def following(self, cluster_ids: Sequence[ClusterId], *, after: int, limit: int = 100) -> tuple[Entry, ...]:
        """The entries with seq > `after` that are about one of these clusters, oldest first. `limit` 1 to 10,000."""
        ...

    def growth(self, since_ms: int, *, limit: int = 100) -> dict[ClusterId, int]:
        """How many images joined each cluster with decisions of proposals or commands made since this moment: the
        `limit` clusters that most joined, by the names of their own parts."""
        ...

    def last_seq_at(self, at_ms: int) -> int:
        """The last seq of the longest beginning of the ledger in which nothing was proposed or commanded after this
        moment, milliseconds since the epoch."""
        ...

    def placements_at(self, image_ids: Sequence[ImageId], *, seq: int) -> dict[ImageId, Placement]:
        """Where these images were; ids not decided yet, and erased ones, are absent."""
        ...

    def cluster_at(self, cluster_id: ClusterId, *, seq: int) -> PastCluster | None:
        """The cluster that this id stood for; None for an unknown and for an empty one."""
        ...

    def members_at(
        self,
        cluster_id: ClusterId,
        *,
        seq: int,
        after: str | None = None,
        limit: int = 100,
        order: MemberOrder = "oldest",
    ) -> Page:
        """The members it had, in the order of `ClusterStore.members`; the cursors are its own. Raises
        InvalidCursorError."""
        ...


class FollowedLedger(Protocol):
    """What it takes to follow the ledger."""

    def read(self, *, after: Position, limit: int = 1000) -> list[tuple[Position, Entry]]:
        """The committed entries after a position, in order of seq, at most `limit`; none when there are no more.
        Each comes with the position to continue from. Raises LogUnavailableError."""
        ...

    def end(self) -> int:
        """An offset behind every committed entry, and not behind any later one. Raises LogUnavailableError."""
        ...


class Ledger(FollowedLedger, Protocol):
    """The entries, in order, for good: the truth. The reading half, for any number of readers."""

    def tail(self, count: int) -> list[tuple[Position, Entry]]:
        """The last committed entries in order of seq: at least `count` of them, or all there are. Raises
        LogUnavailableError."""
        ...


class LedgerWriter(Protocol):
    """The writing half: one at a time, the others are fenced."""

    def append(
        self,
        entries: Sequence[Entry],
        *,
        requeue: Sequence[Requeue] = (),
        standing: Sequence[StandingChange] = (),
        erased: Sequence[ImageId] = (),
    ) -> None:
        """Append entries, hand proposals back to be searched again, change the standing words, and remove erased images
        from the topic of images: all or none.

        Raises FencedError, LogUnavailableError; after either this object must not be used again.
        """
        ...


class ProposalLog(Protocol):
    """Proposals and commands in the one order in which they are answered."""

    def append(self, requests: Sequence[Request]) -> None:
        """Append; returns when they are durable. Raises LogUnavailableError (some may be there: a request may come
        twice, answering is idempotent)."""
        ...

    def read(self, *, offset: int, limit: int = 500) -> list[tuple[int, Request]]:
        """The proposals and commands from `offset` on with their offsets, at most `limit`; none when there are no
        more."""
        ...

    def end(self) -> int:
        """The offset the next request will get."""
        ...


class StandingLog(Protocol):
    """The standing words as changes in their order, for those who must obey them."""

    def changes(self) -> list[StandingChange]:
        """What has come since the last call: at the first, what holds; none when nothing has. Raises
        LogUnavailableError."""
        ...
