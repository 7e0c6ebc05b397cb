"""How good clusters are, against the known truth. Pure.

Pairwise precision and recall of a clustering (for example Manning, Raghavan, Schütze, "Introduction to Information
Retrieval", 2008, 16.3): over all pairs of images, in the same cluster against from the same source.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from neardup.types import ImageId

__all__ = ["Figures", "found_by_edit", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`precision` and `recall` of pairs, in [0, 1]; 1.0 where there is nothing to be wrong about. `mixed` are heads of
    clusters with more than one source; `wrong_share` is the share of the images that are not of the source which most
    images of their cluster have."""

    images: int
    clusters: int
    precision: float
    recall: float
    mixed: tuple[ImageId, ...]
    wrong_share: float


def judge(truth: Mapping[ImageId, str], heads: Mapping[ImageId, ImageId]) -> Figures:
    """`truth`: image -> source; `heads`: image -> head. An image without head stands alone."""
    clusters: dict[ImageId, list[str]] = defaultdict(list)
    for image_id, source in truth.items():
        clusters[heads.get(image_id, image_id)].append(source)
    together = sum(_pairs(len(members)) for members in clusters.values())
    right = sum(_pairs(count) for members in clusters.values() for count in Counter(members).values())
    wrong = sum(len(members) - max(Counter(members).values()) for members in clusters.values())
    wanted = sum(_pairs(count) for count in Counter(truth.values()).values())
    return Figures(
        images=len(truth),
        clusters=len(clusters),
        precision=right / together if together else 1.0,
        recall=right / wanted if wanted else 1.0,
        mixed=tuple(head for head, members in clusters.items() if len(set(members)) > 1),
        wrong_share=wrong / len(truth) if truth else 0.0,
    )


def found_by_edit(
    edits: Iterable[tuple[str, ImageId, ImageId]], heads: Mapping[ImageId, ImageId]
) -> dict[str, tuple[int, int]]:
    """(edit, edited image, its original) -> edit: how many are in the cluster of their original, of how many. Any other
    word that tells kinds of copies apart will do in place of the edit."""
    counts: dict[str, tuple[int, int]] = {}
    for edit, image_id, original in edits:
        found, total = counts.get(edit, (0, 0))
        same = heads.get(image_id, image_id) == heads.get(original, original)
        counts[edit] = (found + same, total + 1)
    return counts


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
