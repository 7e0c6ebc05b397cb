"""The two questions, for an image id, an image file or embeddings: was it seen before, and what is similar to it?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neardup.errors import UnknownImageError
from neardup.lsh import LshModel, query_terms, terms
from neardup.matching import score_candidates
from neardup.messages import half
from neardup.ports import LARGEST_LIMIT, Calibration, CandidateSearch, ClusterStore, Embedder, History, PairScorer
from neardup.types import (
    ClusterId,
    ClusterInfo,
    Code,
    Embeddings,
    Half,
    ImageId,
    IndexedImage,
    Match,
    MemberOrder,
    Page,
    PairBatch,
    Placement,
    Probe,
    SearchFilter,
)
from neardup.witnesses import matched
from query.explain import Explanation, cut_by
from query.heads import Heads
from query.past import PastImages

__all__ = ["Explanation", "Lookup", "PastImages", "SearchFilter", "SimilarImages"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What is known about one image.

    `placement`: where the corpus has this very id. `match`: the best candidate of the cluster that the image matches,
    alone (`match_threshold`) or together with others (`witness_bound`; `neardup.witnesses`). `cluster`: that of the
    placement, else that of the match; None when nothing like it was seen, or for a moment while the graph is behind the
    index.
    `candidates`: best score first. `cutoff_overlap`, `ties_at_cutoff`, `searched_documents`: see CandidateList.
    """

    placement: Placement | None
    match: Match | None
    cluster: ClusterInfo | None
    candidates: tuple[Match, ...]
    match_threshold: float
    witness_bound: float
    model_version: int
    cutoff_overlap: int
    ties_at_cutoff: bool
    searched_documents: int

    @property
    def seen(self) -> bool:
        """Whether this image, or a slight variation of it, was seen before."""
        return self.placement is not None or self.match is not None


class SimilarImages:
    """The query module. `neardup.cli.wiring.Wiring(settings).similar_images` builds one from the settings."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        lsh: LshModel,
        search: CandidateSearch,
        scorer: PairScorer,
        store: ClusterStore,
        heads: Heads,
        history: History,
        probes: int = 1,
        candidate_limit: int = 200,
        minimum_overlap: int = 1,
    ) -> None:
        self._embedder = embedder
        self._lsh = lsh
        self._search = search
        self._scorer = scorer
        self._store = store
        self._heads = heads
        self._history = history
        self._probes = probes
        self._candidate_limit = candidate_limit
        self._minimum_overlap = minimum_overlap

    def placement(self, image_id: ImageId) -> Placement | None:
        """Where an image is, its head included; None when it was never decided."""
        return self._heads.placements([image_id]).get(image_id)

    def cluster(self, image_or_cluster: str) -> ClusterInfo:
        """The cluster that this image is in, or that has this id or had it before a merge. Raises UnknownImageError."""
        placement = self.placement(ImageId(image_or_cluster))
        cluster_id = placement.cluster_id if placement else ClusterId(image_or_cluster)
        cluster = self._store.clusters([cluster_id]).get(cluster_id)
        if cluster is None:
            raise UnknownImageError(f"{image_or_cluster!r} is neither an image nor a cluster of this namespace")
        return cluster

    def members(
        self, cluster_id: ClusterId, *, after: str | None = None, limit: int = 100, order: MemberOrder = "oldest"
    ) -> Page:
        """One page of the members of a cluster, see `ClusterStore`; `after` is the cursor of the page before, which
        must have been in the same order."""
        return self._store.members(cluster_id, after=after, limit=limit, order=order)

    def as_of(self, seq: int) -> PastImages:
        """Images and clusters as they were after the entry `seq` of the ledger."""
        return PastImages(self._history, seq)

    def as_of_time(self, at_ms: int) -> PastImages:
        """The same at a moment, milliseconds since the epoch: the ledger before the first entry that answers something
        proposed or commanded later. Raises SearchUnavailableError."""
        return PastImages.at(self._history, at_ms)

    def lookup_file(self, data: bytes, *, image_id: ImageId | None = None, where: SearchFilter | None = None) -> Lookup:
        """Look up an image by its bytes; it need not be in the corpus. `image_id`: its id, should it be there. `where`:
        which images may be candidates.

        Raises InvalidImageError, UnavailableError.
        """
        return self.lookup_embeddings(self._embedder.embed(data), image_id=image_id, where=where)

    def lookup_embeddings(
        self, embeddings: Embeddings, *, image_id: ImageId | None = None, where: SearchFilter | None = None
    ) -> Lookup:
        """Look up an image by its two embeddings. Raises InvalidMessageError, UnavailableError."""
        return self._lookup(self._asked(embeddings), image_id, where)

    def lookup_id(self, image_id: ImageId, *, where: SearchFilter | None = None) -> Lookup:
        """Look up an image of the corpus by what the index holds of it (its own terms, no probes).

        Raises UnknownImageError, UnavailableError.
        """
        return self._lookup(_asked_again(self._indexed(image_id)), image_id, where)

    def explain_file(self, data: bytes, image_id: ImageId, *, name: str = "the file") -> Explanation:
        """Why an image of the corpus is a candidate of the image in these bytes, or why it is not. `name`: what the
        explanation calls the file.

        Raises InvalidImageError, UnknownImageError, UnavailableError.
        """
        return self._explain(self._asked(self._embedder.embed(data)), None, self._indexed(image_id), name=name)

    def explain_id(self, probe: ImageId, image_id: ImageId) -> Explanation:
        """Why an image of the corpus is a candidate of another one, or why it is not (by the other's own terms).

        Raises UnknownImageError, UnavailableError.
        """
        return self._explain(_asked_again(self._indexed(probe)), probe, self._indexed(image_id), name=probe)

    def _asked(self, embeddings: Embeddings) -> "_Asked":
        self._lsh.validate(embeddings.lsh)
        query = self._lsh.query_codes(embeddings.lsh[None, :], probes=self._probes)[0]
        return _Asked(query=query, score=half(embeddings.score))

    def _indexed(self, image_id: ImageId) -> IndexedImage:
        indexed = self._search.images([image_id]).get(image_id)
        if indexed is None:
            raise UnknownImageError(f"{image_id!r} is not an image of this namespace")
        return indexed

    def _lookup(self, asked: "_Asked", image_id: ImageId | None, where: SearchFilter | None) -> Lookup:
        probe = Probe(terms=query_terms(asked.query), exclude=() if image_id is None else (image_id,), where=where)
        found = self._search.search([probe], limit=self._candidate_limit, minimum_overlap=self._minimum_overlap)[0]
        (matches,), model_version = score_candidates(self._scorer, [asked.score], [found])
        calibration = self._scorer.calibration(model_version)
        best = self._matched(matches, calibration)
        wanted = [i for i in (image_id, best.image_id if best else None) if i is not None]
        placements = self._heads.placements(wanted) if wanted else {}
        placement = placements.get(image_id) if image_id is not None else None
        nearest = placement or (placements.get(best.image_id) if best is not None else None)
        cluster = self._store.clusters([nearest.cluster_id]).get(nearest.cluster_id) if nearest else None
        return Lookup(
            placement=placement,
            match=best,
            cluster=cluster,
            candidates=matches,
            match_threshold=calibration.match_threshold,
            witness_bound=calibration.witness_bound,
            model_version=model_version,
            cutoff_overlap=found.cutoff_overlap,
            ties_at_cutoff=found.ties_at_cutoff,
            searched_documents=found.searched_documents,
        )

    def _matched(self, candidates: Sequence[Match], calibration: Calibration) -> Match | None:
        """The best candidate of the cluster that the image matches."""
        counting = [match for match in candidates if match.score >= calibration.witness_bound]
        if not counting or counting[0].score >= calibration.match_threshold:
            return counting[0] if counting else None
        if len(counting) == 1:
            return None
        placements = self._heads.placements([match.image_id for match in counting])
        placed = [(match, placements[match.image_id].cluster_id) for match in counting if match.image_id in placements]
        clusters = matched(((cluster_id, match.score) for match, cluster_id in placed), calibration.match_threshold)
        return next((match for match, cluster_id in placed if cluster_id in clusters), None)

    def _explain(self, asked: "_Asked", probe: ImageId | None, image: IndexedImage, *, name: str) -> Explanation:
        terms_asked = query_terms(asked.query)
        exclude = () if probe is None else (probe,)
        (everything,) = self._search.search([Probe(terms=terms_asked, exclude=exclude)], limit=LARGEST_LIMIT)
        ids = [candidate.image_id for candidate in everything.candidates]
        rank = ids.index(image.image_id) + 1 if image.image_id in ids else None
        own = set(terms(image.code))
        shared = tuple(term for term in terms_asked if term in own)
        overlap = np.array([len(shared)], dtype=np.int32)
        scored = self._scorer.score(
            PairBatch.of_pairs(probes=asked.score[None, :], candidates=image.score[None, :], overlap=overlap)
        )
        calibration = self._scorer.calibration(scored.model_version)
        kept = everything.candidates[: self._candidate_limit]
        return Explanation(
            probe=name,
            image_id=image.image_id,
            terms=len(terms(asked.query[:, 0])),
            shared_terms=shared,
            rank=rank,
            counted=LARGEST_LIMIT,
            cut=cut_by(
                same_image=image.image_id == probe,
                searchable=image.searchable,
                overlap=len(shared),
                minimum_overlap=self._minimum_overlap,
                rank=rank,
                candidate_limit=self._candidate_limit,
            ),
            candidate_limit=self._candidate_limit,
            minimum_overlap=self._minimum_overlap,
            cutoff_overlap=kept[-1].overlap if kept else 0,
            score=float(scored.values[0]),
            match_threshold=calibration.match_threshold,
            witness_bound=calibration.witness_bound,
            model_version=scored.model_version,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """What is asked for: terms, shape (tables + words, 1 + probes), and the score embedding, shape (dimension,)."""

    query: Code
    score: Half


def _asked_again(image: IndexedImage) -> _Asked:
    return _Asked(query=image.code[:, None], score=image.score)
