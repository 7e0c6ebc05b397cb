"""The history on OpenSearch: the ledger's entries, looked up by image, by cluster, and as of any seq."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opensearchpy import OpenSearch

from graph.history import (
    LedgerDocument,
    document_body,
    document_of_body,
    documents_of,
    parts_after,
    previous_seqs,
)
from neardup.clusters import require_consecutive
from neardup.cursors import format_cursor, no_such_segment, parse_cursor, segment_digest
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, Entry
from neardup.errors import ClusterConflictError, HistoryBehindError, SearchUnavailableError
from neardup.types import ClusterId, ImageId, Member, Page, PastCluster, Placement, Position
from opensearch_templates.connection import part_failed, search_errors
from opensearch_templates.names import LedgerIndexNames
from opensearch_templates.positions import read_position, write_position

__all__ = ["OpenSearchHistory"]

_ROWS: Final = 10_000
_DOCUMENTS_A_REQUEST: Final = 500
_QUESTIONS_A_REQUEST: Final = 200
_STALE: Final = 409

_Query = dict[str, Any]


class OpenSearchHistory:
    """The port History for one namespace. The version of a document is external: an older form never wins."""

    def __init__(self, client: OpenSearch, names: LedgerIndexNames) -> None:
        self._client = client
        self._names = names

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
        with search_errors("refreshing the history"):
            shards = self._client.indices.refresh(index=self._names.index)["_shards"]
        if shards["failed"]:
            raise SearchUnavailableError(f"OpenSearch: a shard copy was not refreshed: {shards}")
        write_position(self._client, self._names, upto)

    def write(self, entries: Sequence[Entry]) -> None:
        """Write the documents of consecutive entries, readable after the next `apply`: its first half."""
        own = {entry.seq for entry in entries}
        documents = documents_of(entries, self._documents(previous_seqs(entries) - own))
        for start in range(0, len(documents), _DOCUMENTS_A_REQUEST):
            self._write(documents[start : start + _DOCUMENTS_A_REQUEST])

    def entries(self, names: Sequence[str], *, before: int | None = None, limit: int = 100) -> tuple[Entry, ...]:
        named = {"bool": {"should": [{"terms": {field: list(names)}} for field in ("image_ids", "cluster_ids")]}}
        last = self.position().seq if before is None else min(self.position().seq, before - 1)
        return self._entries(_all(named, _upto(last)), order="desc", limit=limit)

    def following(self, cluster_ids: Sequence[ClusterId], *, after: int, limit: int = 100) -> tuple[Entry, ...]:
        about = {"terms": {"cluster_ids": list(cluster_ids)}}
        query = _all(about, _upto(self.position().seq), {"range": {"seq": {"gt": after}}})
        return self._entries(query, order="asc", limit=limit)

    def last_seq_at(self, at_ms: int) -> int:
        last = self.position().seq
        later = self._entries(_all({"range": {"at_ms": {"gt": at_ms}}}, _upto(last)), order="asc", limit=1)
        return later[0].seq - 1 if later else last

    def placements_at(self, image_ids: Sequence[ImageId], *, seq: int) -> dict[ImageId, Placement]:
        self._require(seq)
        found: list[Decision] = []
        for start in range(0, len(image_ids), _DOCUMENTS_A_REQUEST):
            wanted = {"terms": {"image_id": list(image_ids[start : start + _DOCUMENTS_A_REQUEST])}}
            found += _decisions(self._entries(_all(wanted, *_standing(seq)), order="asc", limit=_ROWS))
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
        root = self._roots([cluster_id], seq).get(cluster_id)
        if root is None:
            return None
        sizes = self._sizes(root, seq)
        if not sizes:
            return None
        return PastCluster(cluster_id=root, head=self._heads([root], seq)[root], size=sum(sizes.values()), seq=seq)

    def members_at(self, cluster_id: ClusterId, *, seq: int, after: str | None = None, limit: int = 100) -> Page:
        self._require(seq)
        root = self._roots([cluster_id], seq).get(cluster_id)
        sizes = self._sizes(root, seq) if root is not None else {}
        if not sizes:
            return Page(members=(), after=None)
        last, digest = parse_cursor(after)
        parts = list(sizes)
        index = next((at for at, part in enumerate(parts) if not digest or segment_digest(part) == digest), None)
        if index is None:
            raise no_such_segment(after)
        members: list[tuple[ClusterId, Member]] = []
        for part in parts[index:]:
            behind = {"range": {"member_seq": {"gt": last}}}
            query = _all({"term": {"segment": part}}, behind, *_standing(seq))
            for document in self._search(query, [{"member_seq": "asc"}], limit + 1 - len(members)):
                (decision,) = _decisions([document.entry])
                members.append((part, Member(image_id=decision.image_id, seq=document.member_seq or 0)))
            if len(members) > limit:
                break
            last = 0
        page = members[:limit]
        more = len(members) > limit
        return Page(
            members=tuple(member for _, member in page),
            after=format_cursor(page[-1][1].seq, segment_digest(page[-1][0])) if more else None,
        )

    def _require(self, seq: int) -> None:
        applied = self.position().seq
        if seq > applied:
            raise HistoryBehindError(f"the history has applied seq {applied}, not yet {seq}")

    def _roots(self, parts: Iterable[ClusterId], seq: int) -> dict[ClusterId, ClusterId]:
        return {part: ClusterId(body["root"]) for part, body in self._last("root_of", parts, seq).items()}

    def _heads(self, roots: Iterable[ClusterId], seq: int) -> dict[ClusterId, ImageId]:
        return {root: ImageId(body["head"]) for root, body in self._last("head_of", roots, seq).items()}

    def _sizes(self, root: ClusterId, seq: int) -> dict[ClusterId, int]:
        """The parts that have members, in the order in which they are read, with the number of these."""
        parts = self._parts(root, seq)
        query = _all({"terms": {"segment": parts}}, *_standing(seq))
        with search_errors("counting members"):
            answer = self._client.search(
                index=self._names.index,
                body={
                    "size": 0,
                    "query": query,
                    "aggs": {"parts": {"terms": {"field": "segment", "size": len(parts)}}},
                },
                params={"allow_partial_search_results": "false"},
            )
        counts = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["parts"]["buckets"]}
        # A part that was left empty and made anew as a cluster of its own says so by its decisions.
        roots = self._roots([part for part in parts if part in counts], seq)
        return {part: counts[part] for part in parts if part in counts and roots[part] == root}

    def _parts(self, root: ClusterId, seq: int) -> list[ClusterId]:
        merged = {"bool": {"filter": [{"term": {"kind": "cluster-merged"}}, {"term": {"root": root}}]}}
        changes = list(self._entries(_all(merged, _upto(seq)), order="asc", limit=_ROWS))
        came = {part for change in changes if isinstance(change, ClusterMerged) for part in change.segments}
        if came:
            taken = _all({"term": {"kind": "cluster-unmerged"}}, {"terms": {"root_of": sorted(came)}}, _upto(seq))
            changes += self._entries(taken, order="asc", limit=_ROWS)
        changes.sort(key=lambda change: change.seq)
        return parts_after(root, [change for change in changes if isinstance(change, ClusterMerged | ClusterUnmerged)])

    def _last(self, field: str, names: Iterable[str], seq: int) -> dict[Any, Mapping[str, Any]]:
        """For each of these names the newest document up to `seq` that makes a statement about it."""
        wanted = list(dict.fromkeys(names))
        found: dict[Any, Mapping[str, Any]] = {}
        for start in range(0, len(wanted), _QUESTIONS_A_REQUEST):
            asked = wanted[start : start + _QUESTIONS_A_REQUEST]
            lines: list[Mapping[str, Any]] = []
            for name in asked:
                query = _all({"term": {field: name}}, _upto(seq))
                lines += [{}, {"query": query, "size": 1, "sort": [{"seq": "desc"}], "_source": ["root", "head"]}]
            with search_errors("reading the history"):
                answers = self._client.msearch(index=self._names.index, body=lines)["responses"]
            for name, answer in zip(asked, answers, strict=True):
                if "error" in answer:
                    raise part_failed("reading the history", answer["error"])
                for hit in answer["hits"]["hits"]:
                    found[name] = hit["_source"]
        return found

    def _entries(self, query: _Query, *, order: str, limit: int) -> tuple[Entry, ...]:
        return tuple(document.entry for document in self._search(query, [{"seq": order}], limit))

    def _search(self, query: _Query, sort: list[dict[str, str]], limit: int) -> list[LedgerDocument]:
        with search_errors("reading the history"):
            answer = self._client.search(
                index=self._names.index,
                body={"query": query, "sort": sort, "size": limit, "track_total_hits": False},
                params={"allow_partial_search_results": "false"},
            )
        return [document_of_body(hit["_source"]) for hit in answer["hits"]["hits"]]

    def _documents(self, seqs: set[int]) -> dict[int, LedgerDocument]:
        """These documents, in real time. Raises SearchUnavailableError when one is missing."""
        wanted, found = sorted(seqs), dict[int, LedgerDocument]()
        for start in range(0, len(wanted), _DOCUMENTS_A_REQUEST):
            ids = [str(seq) for seq in wanted[start : start + _DOCUMENTS_A_REQUEST]]
            with search_errors("reading the history"):
                rows = self._client.mget(index=self._names.index, body={"ids": ids})["docs"]
            for row in rows:
                if not row.get("found"):
                    raise SearchUnavailableError(f"OpenSearch: the history has lost the entry of seq {row['_id']}")
                found[int(row["_id"])] = document_of_body(row["_source"])
        return found

    def _write(self, documents: Sequence[LedgerDocument]) -> None:
        lines: list[str] = []
        for document in documents:
            place = {"_id": str(document.entry.seq), "version": document.version, "version_type": "external_gte"}
            lines += [json.dumps({"index": place}), json.dumps(document_body(document))]
        with search_errors("writing the history"):
            answer = self._client.bulk(index=self._names.index, body="\n".join(lines) + "\n")
        for item in answer["items"]:
            if item["index"]["status"] >= 300 and item["index"]["status"] != _STALE:
                raise part_failed("writing the history", item["index"]["error"])


def _all(*conditions: _Query) -> _Query:
    return {"bool": {"filter": list(conditions)}}


def _upto(seq: int) -> _Query:
    return {"range": {"seq": {"lte": seq}}}


def _standing(seq: int) -> tuple[_Query, ...]:
    """Decisions that held at `seq`."""
    return {"term": {"kind": "decision"}}, _upto(seq), {"range": {"until_seq": {"gt": seq}}}


def _decisions(entries: Iterable[Entry]) -> list[Decision]:
    return [entry for entry in entries if isinstance(entry, Decision)]
