"""Reads everything that people read of a namespace, and compares it with the ledger (`neardup.agreement`)."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from neardup.agreement import (
    Disagreement,
    IndexEntry,
    Place,
    Touched,
    compare_clusters,
    compare_feed,
    compare_index,
    compare_members,
    compare_placements,
    compare_published,
    compare_segments,
    digest_of_content,
    fold,
)
from neardup.cli.contents import contents_of
from neardup.cli.wiring import Wiring
from neardup.clusters import ClusterState
from neardup.commands import Request
from neardup.entries import Entry
from neardup.folding import LedgerFold
from neardup.ports import Projection
from neardup.standing import EraseKey, StandingChange
from neardup.types import ClusterId, ImageId, Member, Placement

__all__ = ["PROJECTIONS", "Verification", "subjects"]

PROJECTIONS: tuple[Place, ...] = ("graph", "index", "cache", "feed")
_ALL = 2**31
_AT_ONCE = 2_000
_PAGE = 10_000
_ROUNDS = 20
_PAUSE_SECONDS = 0.1

Compare = Callable[[ClusterState], Iterator[Disagreement]]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is looked at: these images and clusters. `everything`: and what was not looked for."""

    images: Collection[ImageId]
    clusters: Collection[ClusterId]
    everything: bool = False


class _BehindError(Exception):
    """A projection does not come to where the ledger is."""


class Verification:
    """Of one namespace, also while images flow and workers write. The ledger is folded up to the position of a
    projection, and what was read of it is compared with that; what entries behind that position change is read again.
    Everything is held in memory. `patience_seconds`: how long a projection may take to come to where the ledger was.
    The wiring is the caller's to close. Not thread-safe. All methods raise UnavailableError."""

    def __init__(
        self, wiring: Wiring, *, patience_seconds: float = 60.0, say: Callable[[str], None] = lambda _: None
    ) -> None:
        from graph.feed_view import FeedView
        from graph.heads_feed import HeadsFeed
        from graph.kafka_log import KafkaLedger, KafkaProposalLog

        kafka, topics = wiring.kafka, wiring.topics
        partitions = wiring.settings.kafka.partitions
        self._wiring = wiring
        self._patience = patience_seconds
        self._say = say
        self._ledger = KafkaLedger(kafka, topics)
        self.proposals = KafkaProposalLog(kafka, topics)
        self._view = FeedView(kafka, topics, partitions=partitions)
        self._feed = HeadsFeed(kafka, topics)
        self.fold = LedgerFold(self._ledger)

    def ledger(self) -> list[Entry]:
        """Every entry, as it stands in the ledger: not even the seqs were looked at."""
        return [entry for _, entry in self._ledger.tail(_ALL)]

    def requests(self) -> dict[int, Request]:
        """Every proposal and command that can still be read, by its offset."""
        found: dict[int, Request] = {}
        offset = 0
        while some := self.proposals.read(offset=offset, limit=_AT_ONCE):
            found |= dict(some)
            offset = some[-1][0] + 1
        return found

    def erase_key(self) -> list[StandingChange]:
        """The standing word that a namespace begins with."""
        from neardup.standing_log import KafkaStandingLog

        log = KafkaStandingLog(self._wiring.kafka, self._wiring.topics)
        try:
            return [change for change in log.changes() if isinstance(change.word, EraseKey)]
        finally:
            log.close()

    def check(self, published: Mapping[ImageId, int] | None = None) -> tuple[ClusterState, list[Disagreement]]:
        """The ledger folded, and where anything does not agree with it. `published`: the newest version of every image
        that was sent, when that is known."""
        entries = self.ledger()
        state, found = fold(entries)
        if published is not None:
            found += compare_published(state, published)
        if not any(one.place == "ledger" and one.kind != "unexpected" for one in found):
            found += self.check_projections()
        return self.fold.state, found

    def check_projections(self, places: Collection[Place] = PROJECTIONS) -> list[Disagreement]:
        """Where graph, index, cache and change feed do not agree with the ledger."""
        self._say("folding the ledger")
        self.fold.to_end()
        found = list(self.fold.faults)
        if found:
            return found
        for place in places:
            self._say(f"comparing the {place}")
            found += self._settle(place)
        return found

    def projection(self, place: Place) -> Projection:
        """The projection behind a place, to ask for its position."""
        wiring = self._wiring
        if place == "index":
            from indexer.index_projection import IndexProjection

            return IndexProjection(
                wiring.index, wiring.unlimited_search, self.proposals, lsh_version=wiring.lsh.version
            )
        return {"graph": wiring.store, "cache": wiring.cache}.get(place, self._feed)

    def fold_to(self, place: Place) -> int:
        """Fold the ledger up to where a projection is; returns that seq. Raises UnavailableError when the projection
        does not come to where the fold is."""
        deadline = time.monotonic() + self._patience
        while (seq := self.projection(place).position().seq) < self.fold.position.seq:
            if time.monotonic() > deadline:
                raise _BehindError(f"it stands at seq {seq}, the ledger at {self.fold.position.seq}")
            time.sleep(_PAUSE_SECONDS)
        self.fold.to(seq)
        if self.fold.position.seq < seq:
            raise _BehindError(f"it stands at seq {seq}, behind the end of the ledger, {self.fold.position.seq}")
        return seq

    def republish(self, image_ids: Collection[ImageId]) -> None:
        """Write the newest messages of the change feed about these images, and about all clusters that have any, again
        where they are not what was read."""
        from graph.feed_mending import FeedMender

        mender = FeedMender(self._wiring.kafka, self._wiring.topics)
        try:
            mender.mend(self._ledger, self._view, image_ids, upto=self.fold.position.seq)
        finally:
            mender.close()

    def _settle(self, place: Place) -> list[Disagreement]:
        """What disagrees although no entry changed it meanwhile."""
        read = {"graph": self._graph, "index": self._index, "cache": self._cache, "feed": self._heads}[place]
        firm: dict[tuple[str, str], Disagreement] = {}
        scope: _Scope | None = None
        open_: list[Disagreement] = []
        for number in range(_ROUNDS):
            try:
                self.fold_to(place)
            except _BehindError as exc:
                return [
                    *firm.values(),
                    Disagreement(place=place, kind="behind", subject=place, detail=str(exc), about="projection"),
                ]
            compare = read(scope or _Scope(self.fold.images, self.fold.clusters, everything=True))
            found = list(compare(self.fold.state))
            ahead = self.fold.ahead() if found else []
            touched = Touched(entry for _, entry in ahead)
            for one in found:
                if not touched.has(one, self.fold.state):
                    firm.setdefault((one.about, one.subject), one)
            open_ = [one for one in found if touched.has(one, self.fold.state)]
            if number:
                # Few are left: what was read may be as any of the entries since made it.
                for position, entry in ahead:
                    if not open_:
                        break
                    self.fold.take(position, entry)
                    still = {(one.about, one.subject) for one in compare(self.fold.state)}
                    open_ = [one for one in open_ if (one.about, one.subject) in still]
            if not open_:
                return list(firm.values())
            scope = _Scope(
                [ImageId(one.subject) for one in open_ if one.about == "image"],
                [ClusterId(one.subject) for one in open_ if one.about == "cluster"]
                + [one.read_in for one in open_ if one.read_in is not None],
            )
            time.sleep(_PAUSE_SECONDS)
        return [*firm.values(), *open_]

    def _graph(self, scope: _Scope) -> Compare:
        store = self._wiring.store
        walked: list[Placement] = list(store.placements_all()) if scope.everything else []
        by_id = list(store.placements(list(scope.images)).values())
        infos = store.clusters(list(scope.clusters))
        roots = list(dict.fromkeys(info.cluster_id for info in infos.values()))
        merged = [root for root in roots if infos.get(root) is None or infos[root].merged]
        segments = {cluster_id: store.segments(cluster_id) for cluster_id in merged}
        pages = {cluster_id: list(self._members(cluster_id)) for cluster_id in roots}

        def compare(state: ClusterState) -> Iterator[Disagreement]:
            wanted = [image_id for image_id in scope.images if state.placement(image_id) is not None]
            if scope.everything:
                yield from compare_placements("graph", state, walked, wanted=wanted)
            yield from compare_placements("graph", state, by_id, wanted=wanted)
            yield from compare_clusters(state, infos, scope.clusters)
            live = [cluster_id for cluster_id in roots if state.cluster(cluster_id) is not None]
            yield from compare_segments(state, segments, [one for one in live if one in segments])
            yield from compare_members(state, {one: pages[one] for one in live})

        return compare

    def _members(self, cluster_id: ClusterId) -> Iterator[Member]:
        after: str | None = None
        while True:
            page = self._wiring.store.members(cluster_id, after=after, limit=_PAGE)
            yield from page.members
            after = page.after
            if after is None:
                return

    def _cache(self, scope: _Scope) -> Compare:
        from graph.redis_cache import RedisHeadCache

        settings = self._wiring.settings
        # What it holds, also when nobody vouches for it, because no worker runs.
        cache = RedisHeadCache(self._wiring.redis, settings.namespace, ttl_seconds=settings.redis.ttl_seconds)
        found = [known for known in cache.placements(list(scope.images)).values() if known is not None]
        return lambda state: compare_placements("cache", state, found)

    def _index(self, scope: _Scope) -> Compare:
        from query.audit import found_by_terms, indexed_ids

        wiring = self._wiring
        client, names = wiring.opensearch, wiring.index_names
        asked = dict.fromkeys(scope.images)
        if scope.everything:
            asked |= dict.fromkeys(indexed_ids(client, names))
        found: dict[ImageId, IndexEntry] = {}
        ids = list(asked)
        for start in range(0, len(ids), _AT_ONCE):
            images = list(wiring.unlimited_search.images(ids[start : start + _AT_ONCE]).values())
            by_terms = found_by_terms(client, names, images)
            for image in images:
                found[image.image_id] = IndexEntry(
                    version=image.version,
                    seq=image.seq,
                    searchable=image.searchable,
                    content=digest_of_content(image.code, image.score),
                    found_by_terms=by_terms[image.image_id],
                )
        contents = {
            image_id: digest_of_content(code, score)
            for image_id, (code, score, _) in contents_of(wiring, self.proposals, self.fold, ids)
        }
        return lambda state: compare_index(state, found, asked, contents)

    def _heads(self, scope: _Scope) -> Compare:
        view = self._view
        view.read_on()
        asked = dict.fromkeys(scope.images)
        if scope.everything:
            asked |= dict.fromkeys(view.images)
        return lambda state: compare_feed(state, view.images, view.clusters, asked)

    def close(self) -> None:
        """Close the connections."""
        for part in (self._ledger, self.proposals, self._view, self._feed):
            part.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def subjects(found: Iterable[Disagreement], place: Place) -> tuple[list[ImageId], list[ClusterId]]:
    """The images and the clusters that are wrong in a place."""
    here = [one for one in found if one.place == place]
    clusters = [ClusterId(one.subject) for one in here if one.about == "cluster"]
    clusters += [one.read_in for one in here if one.read_in is not None]
    images = [ImageId(one.subject) for one in here if one.about == "image"]
    return list(dict.fromkeys(images)), list(dict.fromkeys(clusters))
