"""Why an image is a candidate of another one, or why it is not. Pure."""

from dataclasses import dataclass
from typing import Literal

from neardup.types import ImageId, LshTerm

__all__ = ["Cut", "Explanation", "cut_by"]

Cut = Literal["same-image", "not-indexed", "minimum-overlap", "candidate-limit"]
"""What keeps an image from being a candidate: it is the probe itself; enough others of its cluster stand for it; it
shares too few terms; too many others share more, or as many and are older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A pair of images as search and scorer see it.

    `terms`: how many the probe has; `shared_terms`: those that the image has too, `overlap` of them. `rank`: its place
    among all searchable images, from 1; None when that is beyond `counted` places. `cut`: None for a candidate.
    `cutoff_overlap`: the overlap of the last candidate. `score`: of the pair, whether it is a candidate or not.
    """

    probe: str
    image_id: ImageId
    terms: int
    shared_terms: tuple[LshTerm, ...]
    rank: int | None
    counted: int
    cut: Cut | None
    candidate_limit: int
    minimum_overlap: int
    cutoff_overlap: int
    score: float
    match_threshold: float
    witness_bound: float
    model_version: int

    @property
    def overlap(self) -> int:
        """The term overlap of the pair."""
        return len(self.shared_terms)

    @property
    def near_duplicate(self) -> bool:
        """Whether the pair is one for the scorer; a pair that is cut is never asked about."""
        return self.score >= self.match_threshold

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        side = "at or above" if self.near_duplicate else "below"
        counts = not self.near_duplicate and self.score >= self.witness_bound
        return (
            f"{self.image_id} shares {self.overlap} of {self.terms} terms with {self.probe} and {self._found()}; "
            f"the score of the pair is {self.score:.4f}, {side} the match threshold {self.match_threshold:g}"
            + (", but it counts together with others of its cluster" if counts else "")
        )

    def _found(self) -> str:
        place = f"ranks {self.rank}" if self.rank is not None else f"is not among the first {self.counted:,}"
        match self.cut:
            case None:
                return f"is candidate {self.rank} of at most {self.candidate_limit}"
            case "same-image":
                return "is the image that is asked about, which is never its own candidate"
            case "not-indexed":
                return "is not searched: enough images of its cluster stand for it"
            case "minimum-overlap":
                return f"is no candidate: at least {self.minimum_overlap} must be shared"
            case "candidate-limit":
                return (
                    f"{place}, but only the first {self.candidate_limit} are candidates, "
                    f"down to {self.cutoff_overlap} shared terms"
                )


def cut_by(
    *, same_image: bool, searchable: bool, overlap: int, minimum_overlap: int, rank: int | None, candidate_limit: int
) -> Cut | None:
    """What keeps an image from being a candidate; None when nothing does."""
    if same_image:
        return "same-image"
    if not searchable:
        return "not-indexed"
    if overlap < minimum_overlap:
        return "minimum-overlap"
    if rank is None or rank > candidate_limit:
        return "candidate-limit"
    return None
