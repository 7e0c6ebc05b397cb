"""Candidate search on OpenSearch."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from neardup.errors import SearchUnavailableError
from neardup.types import CandidateList, ImageId, IndexedImage, Position, Probe
from opensearch_templates.connection import part_failed, search_errors
from opensearch_templates.documents import image_of_fields
from opensearch_templates.names import IndexNames
from opensearch_templates.positions import read_position
from query.overlap import CANDIDATES_A_REQUEST, candidate_list, count_bodies, images_body, overlap_body

__all__ = ["OpenSearchCandidateSearch"]

_IMAGES_A_SEARCH = 1_000


class OpenSearchCandidateSearch:
    """The port CandidateSearch over the index of one namespace and lsh_version; the client is the caller's to close."""

    def __init__(self, client: OpenSearch, names: IndexNames) -> None:
        self._client = client
        self._names = names

    def position(self) -> Position:
        return read_position(self._client, self._names)

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        bodies = [overlap_body(probe, limit=limit, minimum_overlap=minimum_overlap) for probe in probes]
        batch = max(1, CANDIDATES_A_REQUEST // limit)
        lists: list[CandidateList] = []
        for start in range(0, len(bodies), batch):
            *answers, every, withheld = self._multi_search([*bodies[start : start + batch], *count_bodies()])
            documents = every["hits"]["total"]["value"] - withheld["hits"]["total"]["value"]
            lists += [candidate_list(answer, limit=limit, searched_documents=documents) for answer in answers]
        return lists

    def images(self, image_ids: Sequence[ImageId]) -> dict[ImageId, IndexedImage]:
        distinct = list(dict.fromkeys(image_ids))
        bodies = [
            images_body(distinct[start : start + _IMAGES_A_SEARCH])
            for start in range(0, len(distinct), _IMAGES_A_SEARCH)
        ]
        found = [
            image_of_fields(document["fields"])
            for body in bodies
            for document in self._multi_search([body])[0]["hits"]["hits"]
        ]
        return {image.image_id: image for image in found}

    def _multi_search(self, bodies: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        header = json.dumps({"index": self._names.read, "allow_partial_search_results": False})
        lines = [line for body in bodies for line in (header, json.dumps(body))]
        with search_errors("searching"):
            answer = self._client.msearch(body="\n".join(lines) + "\n")
        for part in answer["responses"]:
            if "error" in part:
                raise part_failed("searching", part["error"])
            if part["timed_out"] or part["_shards"]["failed"]:
                raise SearchUnavailableError(f"OpenSearch answered for a part of its shards only: {part['_shards']}")
        responses: list[Mapping[str, Any]] = answer["responses"]
        return responses
