"""The history on OpenSearch: the ledger's entries, looked up by image, by cluster, and as of any seq."""

from collections.abc import Iterable, Sequence
from typing import Final

from opensearchpy import OpenSearch

from graph.history import documents_of, parts_after, previous_seqs
from graph.ledger_search import LedgerSearch, Query, all_of, standing_at, up_to
from neardup.clusters import require_consecutive
from neardup.cursors import format_cursor, format_newest, no_such_segment, parse_cursor, parse_newest, segment_digest
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry
from neardup.errors import ClusterConflictError, HistoryBehindError
from neardup.types import ClusterId, ImageId, Member, MemberOrder, Page, PastCluster, Placement, Position
from opensearch_templates.names import LedgerIndexNames
from opensearch_templates.positions import read_position, write_position

__all__ = ["OpenSearchHistory"]

_ROWS: Final = 10_000
_IDS_A_SEARCH: Final = 500


class OpenSearchHistory:
    """The port History for one namespace. The version of a document is external: an older form never wins."""

    def __init__(self, client: OpenSearch, names: LedgerIndexNames) -> None:
        self._client = client
        self._names = names
        self._index = LedgerSearch(client, names.index)

    def position(self) -> Position:
        return read_position(self._client, self._names)

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        require_consecutive(entries, upto)
        if not entries:
            return
        applied = self.position().seq
        if entries[0].seq != applied + 1:
            raise ClusterConflictError(f"seq {entries[0].seq}: the applied seq of the history is {applied}")
        self.write(entries)
        self._index.refresh()
        write_position(self._client, self._names, upto)

    def write(self, entries: Sequence[Entry]) -> None:
        """The first half of `apply`: the documents of consecutive entries, without the position."""
        own = {entry.seq for entry in entries}
        self._index.write(documents_of(entries, self._index.documents(previous_seqs(entries) - own)))

    def entries(self, names: Sequence[str], *, before: int | None = None, limit: int = 100) -> tuple[Entry, ...]:
        named = {"bool": {"should": [{"terms": {field: list(names)}} for field in ("image_ids", "cluster_ids")]}}
        last = self.position().seq if before is None else min(self.position().seq, before - 1)
        return self._entries(all_of(named, up_to(last)), order="desc", limit=limit)

    def following(self, cluster_ids: Sequence[ClusterId], *, after: int, limit: int = 100) -> tuple[Entry, ...]:
        about = {"terms": {"cluster_ids": list(cluster_ids)}}
        query = all_of(about, up_to(self.position().seq), {"range": {"seq": {"gt": after}}})
        return self._entries(query, order="asc", limit=limit)

    def growth(self, since_ms: int, *, limit: int = 100) -> dict[ClusterId, int]:
        return self._index.largest(all_of({"term": {"joined": True}}, {"range": {"at_ms": {"gte": since_ms}}}), limit)

    def last_seq_at(self, at_ms: int) -> int:
        last = self.position().seq
        later = self._entries(all_of({"range": {"at_ms": {"gt": at_ms}}}, up_to(last)), order="asc", limit=1)
        return later[0].seq - 1 if later else last

    def placements_at(self, image_ids: Sequence[ImageId], *, seq: int) -> dict[ImageId, Placement]:
        self._require(seq)
        found: list[Decision] = []
        for start in range(0, len(image_ids), _IDS_A_SEARCH):
            wanted = {"terms": {"image_id": list(image_ids[start : start + _IDS_A_SEARCH])}}
            found += _decisions(self._entries(all_of(wanted, *standing_at(seq)), order="asc", limit=_ROWS))
        roots = self._roots({decision.segment for decision in found}, seq)
        heads = self._heads(set(roots.values()), seq)
        return {
            decision.image_id: Placement(
                image_id=decision.image_id,
                cluster_id=roots[decision.segment],
                segment=decision.segment,
                head=heads[roots[decision.segment]],
                version=decision.version,
                run=decision.run,
                seq=decision.seq,
                indexed=decision.indexed,
            )
            for decision in found
        }

    def cluster_at(self, cluster_id: ClusterId, *, seq: int) -> PastCluster | None:
        self._require(seq)
        root, sizes = self._parts(cluster_id, seq)
        if not sizes:
            return None
        return PastCluster(cluster_id=root, head=self._heads([root], seq)[root], size=sum(sizes.values()), seq=seq)

    def members_at(
        self,
        cluster_id: ClusterId,
        *,
        seq: int,
        after: str | None = None,
        limit: int = 100,
        order: MemberOrder = "oldest",
    ) -> Page:
        self._require(seq)
        below = parse_newest(after) if order == "newest" else None
        last, digest = parse_cursor(after) if order == "oldest" else (0, "")
        parts = list(self._parts(cluster_id, seq)[1])
        if not parts:
            return Page(members=(), after=None)
        if below is not None:
            found = self._index.members(parts, {"lt": below}, "desc", limit + 1, seq)
            more = len(found) > limit
            return Page(members=tuple(found[:limit]), after=format_newest(found[limit - 1].seq) if more else None)
        start = next((at for at, part in enumerate(parts) if not digest or segment_digest(part) == digest), None)
        if start is None:
            raise no_such_segment(after)
        rows: list[tuple[Member, ClusterId]] = []
        for part in parts[start:]:
            some = self._index.members([part], {"gt": last}, "asc", limit + 1 - len(rows), seq)
            rows += [(member, part) for member in some]
            if len(rows) > limit:
                break
            last = 0
        cursor = None
        if len(rows) > limit:
            member, part = rows[limit - 1]
            cursor = format_cursor(member.seq, segment_digest(part))
        return Page(members=tuple(member for member, _ in rows[:limit]), after=cursor)

    def _require(self, seq: int) -> None:
        applied = self.position().seq
        if seq > applied:
            raise HistoryBehindError(f"the history has applied seq {applied}, not yet {seq}")

    def _roots(self, parts: Iterable[ClusterId], seq: int) -> dict[ClusterId, ClusterId]:
        return {part: ClusterId(body["root"]) for part, body in self._index.last("root_of", parts, seq).items()}

    def _heads(self, roots: Iterable[ClusterId], seq: int) -> dict[ClusterId, ImageId]:
        return {root: ImageId(body["head"]) for root, body in self._index.last("head_of", roots, seq).items()}

    def _parts(self, cluster_id: ClusterId, seq: int) -> tuple[ClusterId, dict[ClusterId, int]]:
        """The root that this id stood for, and its parts that had members, in the order in which they are read, with
        the number of these."""
        root = self._roots([cluster_id], seq).get(cluster_id, cluster_id)
        parts = parts_after(root, self._changes(root, seq))
        counts = self._index.count(parts, seq)
        # A part that was left empty and made anew as a cluster of its own says so by its decisions.
        roots = self._roots(counts, seq)
        return root, {part: counts[part] for part in parts if part in counts and roots[part] == root}

    def _changes(self, root: ClusterId, seq: int) -> list[ClusterMerged | ClusterUnmerged]:
        """What was merged into this root, and what took away something that had been."""
        merged = all_of({"term": {"kind": "cluster-merged"}}, {"term": {"root": root}}, up_to(seq))
        found = list(self._entries(merged, order="asc", limit=_ROWS))
        came = {part for change in found if isinstance(change, ClusterMerged) for part in change.segments}
        if came:
            unmerged = all_of({"term": {"kind": "cluster-unmerged"}}, {"terms": {"root_of": sorted(came)}}, up_to(seq))
            found += self._entries(unmerged, order="asc", limit=_ROWS)
        changes = [change for change in found if isinstance(change, ClusterMerged | ClusterUnmerged)]
        return sorted(changes, key=lambda change: change.seq)

    def _entries(self, query: Query, *, order: str, limit: int) -> tuple[Entry, ...]:
        return tuple(document.entry for document in self._index.search(query, [{"seq": order}], limit))


def _decisions(entries: Iterable[Entry]) -> list[Decision]:
    return [entry for entry in entries if isinstance(entry, Decision)]
