"""The head cache on Redis Functions: image -> segment -> root -> head, for many images in one round trip."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from redis import Redis

from neardup.clusters import placement_of, require_consecutive
from neardup.crashpoints import crash_point
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry, HeadChanged, ImageErased
from neardup.errors import CacheBehindError, ClusterConflictError
from neardup.redis import FunctionLibrary, redis_errors
from neardup.types import ClusterId, ImageId, Placement, Position

__all__ = ["LIBRARY", "RedisHeadCache", "setup_functions"]

LIBRARY = "neardup_heads_4"
_KEYS_A_SCAN = 1_000
_IDS_A_CALL = 2_000


def setup_functions(client: Redis, *, dry_run: bool = False) -> list[str]:
    """Load the function library unless this very text is loaded; returns the changes. Raises CacheUnavailableError."""
    return _library().setup(client, dry_run=dry_run)


class RedisHeadCache:
    """The port HeadCache for one namespace; the client is the caller's to close.

    All keys of a namespace share one hash tag, so that a function may touch any of them on a Redis Cluster.
    `ttl_seconds`: life of an entry that nobody reads; `absent_seconds`: of an entry about an image that is not there.
    `stale_seconds`: it is read only if somebody vouched for a moment no longer ago, by Redis' clock; None: always.
    """

    def __init__(
        self,
        client: Redis,
        namespace: str,
        *,
        ttl_seconds: int,
        absent_seconds: float = 1.0,
        stale_seconds: float | None = None,
    ) -> None:
        self._client = client
        self._ttl = ttl_seconds
        self._absent_ms = round(absent_seconds * 1000)
        self._stale_ms = 0 if stale_seconds is None else round(stale_seconds * 1000)
        self._prefix = f"{{{namespace}}}:"

    def position(self) -> Position:
        with redis_errors("reading the position"):
            stored = self._client.hmget(self._key("position", ""), ["seq", "ledger_offset", "proposal_offset"])
        numbers = [int(value) for value in stored if value is not None]
        return Position(seq=numbers[0], ledger_offset=numbers[1], proposal_offset=numbers[2]) if numbers else Position()

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        require_consecutive(entries, upto)
        if not entries:
            return
        writes = [write for entry in entries for write in _writes_of(entry)]
        position = [upto.seq, upto.ledger_offset, upto.proposal_offset]
        applied = self._write("apply", writes, entries[0].seq - 1, *position)
        crash_point("project.cache-applied")
        if applied != -1:
            raise ClusterConflictError(f"seq {entries[0].seq}: the applied seq of the cache is {applied}")

    def placements(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Placement | None]:
        found: dict[ImageId, Placement | None] = {}
        distinct = list(dict.fromkeys(image_ids))
        for start in range(0, len(distinct), _IDS_A_CALL):
            ids = distinct[start : start + _IDS_A_CALL]
            keys = [self._key("position", ""), *(self._key("image", image_id) for image_id in ids)]
            answers = self._call("lookup", keys, [self._key("cluster", ""), self._ttl, self._stale_ms])
            if answers == -1:
                raise CacheBehindError(f"nobody vouches that it had everything {self._stale_ms / 1000:g} s ago")
            for image_id, answer in zip(ids, answers, strict=True):
                if answer:
                    found[image_id] = None if answer == b"-" else _placement(image_id, answer)
        return found

    def fill(self, placements: Sequence[Placement], *, absent: Sequence[ImageId] = (), read_at: int) -> None:
        for start in range(0, max(len(placements), len(absent)), _IDS_A_CALL):
            stop = start + _IDS_A_CALL
            writes = [write for placed in placements[start:stop] for write in _placed(placed, read_at)]
            writes += [_Write("image", name, "absent", read_at, (self._absent_ms,)) for name in absent[start:stop]]
            self._write("fill", writes, read_at)

    def vouch(self, seq: int, *, seconds_ago: float) -> None:
        self._call("vouch", [self._key("position", "")], [seq, round(seconds_ago * 1000)])

    def begin(self, position: Position) -> None:
        if self.position() != Position():
            return
        self.clear()
        numbers = (position.seq, position.ledger_offset, position.proposal_offset)
        self._call("begin", [self._key("position", "")], numbers)

    def forget(self, image_ids: Iterable[ImageId], cluster_ids: Iterable[ClusterId]) -> None:
        keys = [self._key("image", image_id) for image_id in image_ids]
        keys += [self._key("cluster", cluster_id) for cluster_id in cluster_ids]
        with redis_errors("forgetting entries"):
            for start in range(0, len(keys), _KEYS_A_SCAN):
                self._client.unlink(*keys[start : start + _KEYS_A_SCAN])

    def clear(self, *, upto: Position | None = None) -> None:
        """Entries first and the position last: what remains after a failure in between are misses."""
        with redis_errors("clearing the cache"):
            position = self._key("position", "")
            if upto is not None:
                # First, so that nothing older than that is written any more while entries are removed.
                with self._client.pipeline(transaction=True) as both:
                    both.hset(position, items=[part for pair in asdict(upto).items() for part in pair])
                    both.hdel(position, "vouched_ms")
                    both.execute()
            batch: list[bytes] = []
            for key in self._client.scan_iter(match=f"{self._prefix}*", count=_KEYS_A_SCAN):
                if key != position:
                    batch.append(key)
                if len(batch) == _KEYS_A_SCAN:
                    self._client.unlink(*batch)
                    batch = []
            keys = batch if upto is not None else [*batch, position]
            if keys:
                self._client.unlink(*keys)

    def _write(self, function: str, writes: Sequence["_Write"], *first: int) -> int:
        keys = [self._key("position", ""), *(self._key(write.of, write.name) for write in writes)]
        flat = [value for write in writes for value in (write.kind, write.seq, *write.values)]
        return int(self._call(function, keys, [self._ttl, *first, *flat]))

    def _call(self, function: str, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        return _library().call(self._client, function, keys, arguments)

    def _key(self, kind: str, name: str) -> bytes:
        return f"{self._prefix}{kind}:{name}".encode()


@dataclass(frozen=True, slots=True)
class _Write:
    """One write of the functions: to which entry, of which kind, with which seq, and what."""

    of: Literal["image", "cluster"]
    name: str
    kind: Literal["image", "root", "head", "erase", "absent"]
    seq: int
    values: tuple[str | int, ...] = ()


def _writes_of(entry: Entry) -> Iterator[_Write]:
    match entry:
        case Decision():
            yield from _placed(placement_of(entry), entry.seq)
        case HeadChanged():
            yield from _named(entry.cluster_id, entry.head, entry.seq)
        case ClusterMerged():
            yield from _pointed(entry.segments, entry.into, entry.seq)
            yield from _named(entry.into, entry.head, entry.seq)
        case ClusterUnmerged():
            yield from _pointed(entry.segments, entry.cluster_id, entry.seq)
            yield from _named(entry.cluster_id, entry.head, entry.seq)
        case ImageErased():
            yield _Write("image", entry.image_id, "erase", entry.seq)
            if entry.cluster_id is not None and entry.head is not None:
                yield from _named(entry.cluster_id, entry.head, entry.seq)
        case _:
            pass


def _placed(placement: Placement, seq: int) -> Iterator[_Write]:
    values = (placement.segment, placement.version, placement.run, placement.seq, int(placement.indexed))
    yield _Write("image", placement.image_id, "image", seq, values)
    if placement.segment != placement.cluster_id:
        yield from _pointed([placement.segment], placement.cluster_id, seq)
    yield from _named(placement.cluster_id, placement.head, seq)


def _pointed(segments: Iterable[ClusterId], root: ClusterId, seq: int) -> Iterator[_Write]:
    for segment in segments:
        yield _Write("cluster", segment, "root", seq, (root,))


def _named(cluster_id: ClusterId, head: ImageId, seq: int) -> Iterator[_Write]:
    yield from _pointed([cluster_id], cluster_id, seq)
    yield _Write("cluster", cluster_id, "head", seq, (head,))


def _placement(image_id: ImageId, answer: bytes) -> Placement:
    segment, root, head, version, run, seq, indexed = answer.decode().split("\t")
    return Placement(
        image_id=image_id,
        cluster_id=ClusterId(root),
        segment=ClusterId(segment),
        head=ImageId(head),
        version=int(version),
        run=int(run),
        seq=int(seq),
        indexed=indexed == "1",
    )


@cache
def _library() -> FunctionLibrary:
    return FunctionLibrary(LIBRARY, (files("graph") / "scripts" / "heads.lua").read_text(encoding="utf-8"))
