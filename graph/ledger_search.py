"""Questions to the index of the ledger, and its documents: what the history is made of, on OpenSearch."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opensearchpy import OpenSearch

from graph.history import LedgerDocument, document_body, document_of_body
from neardup.errors import SearchUnavailableError
from neardup.types import ClusterId, ImageId, Member
from opensearch_templates.connection import part_failed, search_errors
from opensearch_templates.documents import hits_of
from opensearch_templates.multi_search import multi_search

__all__ = ["LedgerSearch", "Query", "all_of", "standing_at", "up_to"]

_DOCUMENTS_A_REQUEST: Final = 500
_QUESTIONS_A_REQUEST: Final = 200
_STALE: Final = 409
_WHOLE: Final = {"allow_partial_search_results": "false"}

Query = dict[str, Any]


def all_of(*conditions: Query) -> Query:
    """What fits all of these."""
    return {"bool": {"filter": list(conditions)}}


def up_to(seq: int) -> Query:
    """Entries up to this one."""
    return {"range": {"seq": {"lte": seq}}}


def standing_at(seq: int) -> tuple[Query, ...]:
    """Decisions that held at `seq`."""
    return {"term": {"kind": "decision"}}, up_to(seq), {"range": {"until_seq": {"gt": seq}}}


class LedgerSearch:
    """One index. Raises SearchUnavailableError, also for an answer of a part of the shards."""

    def __init__(self, client: OpenSearch, index: str) -> None:
        self._client = client
        self._index = index

    def search(self, query: Query, sort: list[dict[str, str]], limit: int) -> list[LedgerDocument]:
        """The documents that fit, in this order, at most `limit`."""
        with search_errors("reading the history"):
            answer = self._client.search(
                index=self._index,
                body={"query": query, "sort": sort, "size": limit, "track_total_hits": False},
                params=_WHOLE,
            )
        return [document_of_body(hit["_source"]) for hit in answer["hits"]["hits"]]

    def last(self, field: str, names: Iterable[str], seq: int) -> dict[Any, Mapping[str, Any]]:
        """For each of these names the newest document up to `seq` that makes a statement about it."""
        wanted = list(dict.fromkeys(names))
        found: dict[Any, Mapping[str, Any]] = {}
        for start in range(0, len(wanted), _QUESTIONS_A_REQUEST):
            asked = wanted[start : start + _QUESTIONS_A_REQUEST]
            newest = {"size": 1, "sort": [{"seq": "desc"}], "_source": ["root", "head"]}
            answers = multi_search(
                self._client,
                self._index,
                [newest | {"query": all_of({"term": {field: name}}, up_to(seq))} for name in asked],
                doing="reading the history",
                wanted=["hits.hits._source"],
            )
            for name, answer in zip(asked, answers, strict=True):
                for hit in hits_of(answer):
                    found[name] = hit["_source"]
        return found

    def members(
        self, parts: Sequence[ClusterId], within: dict[str, int], order: str, limit: int, seq: int
    ) -> list[Member]:
        """Members that these parts had at `seq`, with a member seq in this range, in order (asc or desc) of it."""
        query = all_of({"terms": {"segment": list(parts)}}, {"range": {"member_seq": within}}, *standing_at(seq))
        with search_errors("reading members"):
            answer = self._client.search(
                index=self._index,
                body={
                    "query": query,
                    "sort": [{"member_seq": order}],
                    "size": limit,
                    "track_total_hits": False,
                    "_source": False,
                    "docvalue_fields": ["image_id", "member_seq"],
                },
                params=_WHOLE,
            )
        rows = (hit["fields"] for hit in answer["hits"]["hits"])
        return [Member(image_id=ImageId(row["image_id"][0]), seq=row["member_seq"][0]) for row in rows]

    def count(self, parts: Sequence[ClusterId], seq: int) -> dict[ClusterId, int]:
        """How many members these parts had at `seq`; empty parts are absent."""
        return self.largest(all_of({"terms": {"segment": list(parts)}}, *standing_at(seq)), len(parts))

    def largest(self, query: Query, limit: int) -> dict[ClusterId, int]:
        """The parts with the most decisions that fit, and how many."""
        by_part = {"terms": {"field": "segment", "size": limit, "shard_size": max(1000, 2 * limit)}}
        with search_errors("counting members"):
            answer = self._client.search(
                index=self._index,
                body={"size": 0, "query": query, "aggs": {"parts": by_part}},
                params=_WHOLE,
            )
        return {ClusterId(row["key"]): row["doc_count"] for row in answer["aggregations"]["parts"]["buckets"]}

    def documents(self, seqs: set[int]) -> dict[int, LedgerDocument]:
        """These documents, in real time. Raises SearchUnavailableError when one is missing."""
        wanted, found = sorted(seqs), dict[int, LedgerDocument]()
        for start in range(0, len(wanted), _DOCUMENTS_A_REQUEST):
            ids = [str(seq) for seq in wanted[start : start + _DOCUMENTS_A_REQUEST]]
            with search_errors("reading the history"):
                rows = self._client.mget(index=self._index, body={"ids": ids})["docs"]
            for row in rows:
                if not row.get("found"):
                    raise SearchUnavailableError(f"OpenSearch: the history has lost the entry of seq {row['_id']}")
                found[int(row["_id"])] = document_of_body(row["_source"])
        return found

    def write(self, documents: Sequence[LedgerDocument]) -> None:
        """Write documents; an older form of one never replaces a newer. Searches find them after `refresh`."""
        for start in range(0, len(documents), _DOCUMENTS_A_REQUEST):
            self._bulk(documents[start : start + _DOCUMENTS_A_REQUEST])

    def refresh(self) -> None:
        """Make what was written found by searches, on every shard copy."""
        with search_errors("refreshing the history"):
            shards = self._client.indices.refresh(index=self._index)["_shards"]
        if shards["failed"]:
            raise SearchUnavailableError(f"OpenSearch: a shard copy was not refreshed: {shards}")

    def _bulk(self, documents: Sequence[LedgerDocument]) -> None:
        lines: list[str] = []
        for document in documents:
            place = {"_id": str(document.entry.seq), "version": document.version, "version_type": "external_gte"}
            lines += [json.dumps({"index": place}), json.dumps(document_body(document))]
        with search_errors("writing the history"):
            answer = self._client.bulk(index=self._index, body="\n".join(lines) + "\n")
        for item in answer["items"]:
            if item["index"]["status"] >= 300 and item["index"]["status"] != _STALE:
                raise part_failed("writing the history", item["index"]["error"])
