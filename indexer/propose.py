"""Images -> proposals: terms, exact search, scoring. Several images share each round trip. Ports only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neardup.crashpoints import crash_point
from neardup.errors import InvalidMessageError
from neardup.lsh import LshModel, query_terms
from neardup.matching import score_candidates
from neardup.messages import half
from neardup.ports import CandidateSearch, Clock, PairScorer
from neardup.types import Image, Match, Probe, Proposal, Source

__all__ = ["ProposalRules", "Proposer", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRules:
    """How an image is searched, and what of it goes into a proposal: up to `kept_matches`, for a cluster with more
    near-duplicates of one image needs no further witness, and of candidates below the witness bound `kept_below`,
    which are only told, not acted on."""

    candidate_limit: int
    minimum_overlap: int
    probes: int
    kept_matches: int = 50
    kept_below: int = 10


class Proposer:
    """Searches and scores; decides nothing."""

    def __init__(
        self, *, lsh: LshModel, search: CandidateSearch, scorer: PairScorer, clock: Clock, rules: ProposalRules
    ) -> None:
        self._lsh = lsh
        self._search = search
        self._scorer = scorer
        self._clock = clock
        self._rules = rules

    def validate(self, image: Image) -> None:
        """Raises InvalidMessageError for an image whose LSH embedding this lsh_version cannot take."""
        self._lsh.validate(image.lsh)
        if not np.all(np.isfinite(half(image.score))):
            raise InvalidMessageError("contains NaN or values beyond float16", field="score")

    def propose(self, images: Sequence[tuple[Source, Image]], *, candidate_limit: int | None = None) -> list[Proposal]:
        """One proposal an image, in order; from as many candidates as usual, or from `candidate_limit`, of which then
        all that match are kept. All images must be valid. Raises UnavailableError; nothing was written."""
        if not images:
            return []
        limit = candidate_limit or self._rules.candidate_limit
        # Read before searching: what this position covers, the search will see.
        searched = self._search.position()
        queries = self._lsh.query_codes(np.stack([image.lsh for _, image in images]), probes=self._rules.probes)
        probes = [
            Probe(terms=query_terms(query), exclude=(image.image_id,))
            for query, (_, image) in zip(queries, images, strict=True)
        ]
        found = self._search.search(probes, limit=limit, minimum_overlap=self._rules.minimum_overlap)
        crash_point("propose.after-search")
        scores = [half(image.score) for _, image in images]
        keep = self._rules.kept_matches if candidate_limit is None else None
        matches, model_version = score_candidates(self._scorer, scores, found, keep=keep)
        crash_point("propose.after-score")
        calibration = self._scorer.calibration(model_version)
        return [
            Proposal(
                image_id=image.image_id,
                version=image.version,
                run=image.run,
                query=query,
                score=score,
                metadata=image.metadata,
                searched_seq=searched.seq,
                candidate_limit=limit,
                cutoff_overlap=candidates.cutoff_overlap,
                matches=kept(of_image, calibration.witness_bound, self._rules),
                match_threshold=calibration.match_threshold,
                witness_bound=calibration.witness_bound,
                head_bound=calibration.head_bound,
                lsh_version=self._lsh.version,
                model_version=model_version,
                source=source,
                at_ms=self._clock.now_ms(),
            )
            for (source, image), query, score, candidates, of_image in zip(
                images, queries, scores, found, matches, strict=True
            )
        ]


def kept(matches: tuple[Match, ...], witness_bound: float, rules: ProposalRules) -> tuple[Match, ...]:
    """What a proposal keeps of matches, best first: all that count, if an image was searched deeper there may be many
    of these, and some of the others."""
    counting = sum(match.score >= witness_bound for match in matches)
    return matches[: max(counting, min(rules.kept_matches, counting + rules.kept_below))]
