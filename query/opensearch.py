"""Candidate search on OpenSearch."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from neardup.errors import SearchUnavailableError
from neardup.types import CandidateList, Half, ImageId, IndexedImage, Position, Probe
from opensearch_templates.connection import search_errors
from opensearch_templates.documents import hits_of, image_of_fields, scores_of_fields
from opensearch_templates.multi_search import multi_search
from opensearch_templates.names import IndexNames
from opensearch_templates.positions import read_position
from query.overlap import (
    ANSWER,
    CANDIDATES_A_REQUEST,
    candidate_list,
    count_bodies,
    found,
    images_body,
    indexed_body,
    overlap_body,
)
from query.score_memory import ScoreMemory, Seen

__all__ = ["OpenSearchCandidateSearch"]

_IMAGES_A_SEARCH = 1_000
_TRIES = 3
_SURE_SECONDS = 1.0
"""How long an index is taken for the one that it was. To make another, and search in it, takes longer."""


class OpenSearchCandidateSearch:
    """The port CandidateSearch over the index of one namespace and lsh_version; the client is the caller's to close.

    A search tells overlaps and seqs; ids and score embeddings are remembered from searches before, in `memory_bytes`,
    or read then.
    """

    def __init__(self, client: OpenSearch, names: IndexNames, *, memory_bytes: int = 0) -> None:
        self._client = client
        self._names = names
        self._memory = ScoreMemory(memory_bytes)
        self._index = ""
        self._sure_until = 0.0

    def position(self) -> Position:
        return read_position(self._client, self._names)

    def search(self, probes: Sequence[Probe], *, limit: int, minimum_overlap: int = 1) -> list[CandidateList]:
        self._forget_another_index()
        bodies = [overlap_body(probe, limit=limit, minimum_overlap=minimum_overlap) for probe in probes]
        size = max(1, CANDIDATES_A_REQUEST // limit)
        return [
            candidates
            for start in range(0, len(bodies), size)
            for candidates in self._search(bodies[start : start + size], limit)
        ]

    def images(self, image_ids: Sequence[ImageId]) -> dict[ImageId, IndexedImage]:
        images = map(image_of_fields, self._read(images_body, image_ids))
        return {image.image_id: image for image in images}

    def _forget_another_index(self) -> None:
        """An index that was dropped and made again has the same name, and the same seqs for other images."""
        if time.monotonic() < self._sure_until:
            return
        with search_errors("searching"):
            settings = self._client.indices.get_settings(index=self._names.read, name="index.uuid")
        index = ",".join(sorted(each["settings"]["index"]["uuid"] for each in settings.values()))
        if index != self._index:
            self._memory.clear()
        self._index, self._sure_until = index, time.monotonic() + _SURE_SECONDS

    def _search(self, bodies: Sequence[Mapping[str, Any]], limit: int) -> list[CandidateList]:
        for _ in range(_TRIES):
            *answers, every, withheld = self._multi_search([*bodies, *count_bodies()])
            documents = every["hits"]["total"]["value"] - withheld["hits"]["total"]["value"]
            of_each = [found(answer, limit=limit) for answer in answers]
            images = self._seen([seq for seqs in of_each for seq in seqs])
            # Else some were indexed anew, or removed, before they were read: few are, and seldom.
            if images is not None:
                return list(_lists(answers, of_each, *images, limit=limit, searched_documents=documents))
        raise SearchUnavailableError("OpenSearch: what a search finds changes before it can be read")

    def _seen(self, seqs: Sequence[int]) -> tuple[list[ImageId], Half] | None:
        """The images and score embeddings of these seqs; None when not all of them are there any more."""
        known, scores = self._memory.recall(seqs)
        missing = [place for place, image_id in enumerate(known) if image_id is None]
        if missing:
            new = self._read_seqs([seqs[place] for place in missing])
            self._memory.add(new)
            if any(seqs[place] not in new for place in missing):
                return None
            if not scores.shape[1]:
                scores = np.empty((len(seqs), len(new[seqs[0]][1])), np.float16)
            for place in missing:
                known[place], scores[place] = new[seqs[place]]
        return [image_id for image_id in known if image_id is not None], scores

    def _read_seqs(self, seqs: Sequence[int]) -> dict[int, Seen]:
        """By seq what is there of these."""
        read = list(self._read(indexed_body, seqs))
        return {
            fields["seq"][0]: (ImageId(fields["id"][0]), score)
            for fields, score in zip(read, scores_of_fields(read), strict=True)
        }

    def _read(
        self, body: Callable[[Sequence[Any]], dict[str, Any]], wanted: Sequence[Any]
    ) -> Iterator[Mapping[str, Sequence[Any]]]:
        """The doc values that a body asks for, of all that are wanted and there; some at a time."""
        distinct = list(dict.fromkeys(wanted))
        for start in range(0, len(distinct), _IMAGES_A_SEARCH):
            (answer,) = self._multi_search([body(distinct[start : start + _IMAGES_A_SEARCH])])
            yield from (hit["fields"] for hit in hits_of(answer))

    def _multi_search(self, bodies: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return multi_search(self._client, self._names.read, bodies, doing="searching", wanted=ANSWER)


def _lists(
    answers: Sequence[Mapping[str, Any]],
    of_each: Sequence[Sequence[int]],
    image_ids: Sequence[ImageId],
    scores: Half,
    *,
    limit: int,
    searched_documents: int,
) -> Iterator[CandidateList]:
    """One list an answer; `image_ids` and `scores` are of all that they found, one after the other."""
    start = 0
    for answer, seqs in zip(answers, of_each, strict=True):
        stop = start + len(seqs)
        yield candidate_list(
            answer,
            limit=limit,
            searched_documents=searched_documents,
            image_ids=image_ids[start:stop],
            scores=scores[start:stop],
        )
        start = stop
