"""The head cache on Redis Functions: image -> cluster -> head, for many images in one round trip."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis

from neardup.clusters import require_consecutive
from neardup.errors import CacheBehindError, ClusterConflictError
from neardup.redis import FunctionLibrary, redis_errors
from neardup.types import ClusterId, Decision, ImageId, Placement, Position

__all__ = ["LIBRARY", "RedisHeadCache", "setup_functions"]

LIBRARY = "neardup_heads_3"
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

    def apply(self, decisions: Sequence[Decision], *, upto: Position) -> None:
        require_consecutive(decisions, upto)
        if not decisions:
            return
        applied = self._call(
            "apply",
            [self._key("position", ""), *self._keys(decisions)],
            [
                self._ttl,
                decisions[0].seq - 1,
                upto.seq,
                upto.ledger_offset,
                upto.proposal_offset,
                *_values(decisions),
            ],
        )
        if applied != -1:
            raise ClusterConflictError(f"seq {decisions[0].seq}: the applied seq of the cache is {applied}")

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
                    found[image_id] = _placement(image_id, answer) if answer[0] else None
        return found

    def fill(self, placements: Sequence[Placement], *, absent: Sequence[ImageId] = (), read_at: int) -> None:
        for start in range(0, max(len(placements), len(absent)), _IDS_A_CALL):
            batch = placements[start : start + _IDS_A_CALL]
            missing = [self._key("image", image_id) for image_id in absent[start : start + _IDS_A_CALL]]
            self._call(
                "fill",
                [self._key("position", ""), *self._keys(batch), *missing],
                [self._ttl, self._absent_ms, read_at, len(batch), *_values(batch)],
            )

    def vouch(self, seq: int, *, seconds_ago: float) -> None:
        self._call("vouch", [self._key("position", "")], [seq, round(seconds_ago * 1000)])

    def begin(self, position: Position) -> None:
        self.clear()
        offsets = (position.ledger_offset, position.proposal_offset)
        self._call("begin", [self._key("position", "")], [position.seq, *offsets])

    def clear(self) -> None:
        """Entries first and the position last: what remains after a failure in between are misses."""
        with redis_errors("clearing the cache"):
            position = self._key("position", "")
            batch: list[bytes] = []
            for key in self._client.scan_iter(match=f"{self._prefix}*", count=_KEYS_A_SCAN):
                if key != position:
                    batch.append(key)
                if len(batch) == _KEYS_A_SCAN:
                    self._client.unlink(*batch)
                    batch = []
            self._client.unlink(*batch, position)

    def _call(self, function: str, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        return _library().call(self._client, function, keys, arguments)

    def _keys(self, entries: Sequence[Decision] | Sequence[Placement]) -> Iterator[bytes]:
        for entry in entries:
            yield self._key("image", entry.image_id)
            yield self._key("cluster", entry.cluster_id)

    def _key(self, kind: str, name: str) -> bytes:
        return f"{self._prefix}{kind}:{name}".encode()


def _values(entries: Sequence[Decision] | Sequence[Placement]) -> Iterator[str | int]:
    for entry in entries:
        yield from (entry.cluster_id, entry.head, entry.version, entry.run, entry.seq, int(entry.indexed))


def _placement(image_id: ImageId, answer: Sequence[bytes]) -> Placement:
    cluster_id, head, version, run, seq, indexed = answer
    return Placement(
        image_id=image_id,
        cluster_id=ClusterId(cluster_id.decode()),
        head=ImageId(head.decode()),
        version=int(version),
        run=int(run),
        seq=int(seq),
        indexed=indexed == b"1",
    )


@cache
def _library() -> FunctionLibrary:
    return FunctionLibrary(LIBRARY, (files("graph") / "scripts" / "heads.lua").read_text(encoding="utf-8"))
