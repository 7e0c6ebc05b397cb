"""An evaluation judged: figures by edit, difficulty and source, misses and false merges. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from neardup.edits.edit import DIFFICULTIES
from neardup.evaluation.figures import Figures, judge
from neardup.evaluation.manifest import Row, originals
from neardup.types import ImageId

__all__ = ["FalseMerge", "Judgement", "Miss", "Pair", "Tally", "judge_rows"]

_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A copy as probe, its original as candidate. `candidate`: search brings the original up; `score`: of the pair,
    None for one that is no candidate."""

    candidate: bool
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Copies of one kind: how many; with their original in a cluster; with it among their candidates; of those, scored
    at the match threshold or above."""

    copies: int
    found: int
    candidates: int
    matches: int

    @property
    def recall(self) -> float:
        return _share(self.found, self.copies)

    @property
    def candidate_recall(self) -> float:
        return _share(self.candidates, self.copies)

    @property
    def score_recall(self) -> float | None:
        """Of the copies that search brought together with their original; None when there is none of these."""
        return self.matches / self.candidates if self.candidates else None

    def as_json(self) -> dict[str, Any]:
        return {
            "copies": self.copies,
            "found": self.found,
            "recall": self.recall,
            "candidate_recall": self.candidate_recall,
            "score_recall": self.score_recall,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A copy that is not in the cluster of its original."""

    copy: Row
    original: Row
    pair: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseMerge:
    """A cluster with pictures of several sources: its rows, those of the most frequent source first."""

    head: ImageId
    rows: tuple[Row, ...]

    @property
    def source_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.source_id for row in self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`misses`: what should have been easiest first; `merges`: the largest number of wrong pictures first."""

    figures: Figures
    sources: int
    total: Tally
    by_edit: Mapping[str, Tally]
    by_difficulty: Mapping[str, Tally]
    by_source: Mapping[str, Tally]
    misses: tuple[Miss, ...]
    merges: tuple[FalseMerge, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs; every share is in [0, 1]."""
        figures, total = self.figures, self.total
        return {
            "images": figures.images,
            "sources": self.sources,
            "clusters": figures.clusters,
            "precision": figures.precision,
            "pair_recall": figures.recall,
            "recall": total.recall,
            "candidate_recall": total.candidate_recall,
            "score_recall": total.score_recall,
            "wrong_share": figures.wrong_share,
            "lost": {
                "copies": total.copies,
                "in_search": total.copies - total.candidates,
                "in_scoring": total.candidates - total.matches,
            },
            "by_edit": {name: tally.as_json() for name, tally in self.by_edit.items()},
            "by_difficulty": {name: tally.as_json() for name, tally in self.by_difficulty.items()},
            "by_source": {name: tally.as_json() for name, tally in self.by_source.items()},
            "false_merges": [
                {"head": merge.head, "images": len(merge.rows), "source_ids": list(merge.source_ids)}
                for merge in self.merges
            ],
        }


def judge_rows(
    rows: Sequence[Row], heads: Mapping[ImageId, ImageId], pairs: Mapping[ImageId, Pair], *, threshold: float
) -> Judgement:
    """`heads`: image -> head, an image without one stands alone; `pairs`: copy -> how search and scorer see it with its
    original, a copy without one was not found."""
    firsts = originals(rows)
    copies = [row for row in rows if firsts[row.source_id].image_id != row.image_id]

    def found(row: Row) -> bool:
        return _head(row, heads) == _head(firsts[row.source_id], heads)

    def tally(chosen: Sequence[Row]) -> Tally:
        seen = [_pair(row, pairs) for row in chosen]
        return Tally(
            copies=len(chosen),
            found=sum(map(found, chosen)),
            candidates=sum(pair.candidate for pair in seen),
            matches=sum(pair.candidate and (pair.score or 0.0) >= threshold for pair in seen),
        )

    def tallies(kind: Callable[[Row], str]) -> dict[str, Tally]:
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in copies:
            groups[kind(row)].append(row)
        return {name: tally(chosen) for name, chosen in sorted(groups.items(), key=lambda item: _order(item[0]))}

    misses = [
        Miss(copy=row, original=firsts[row.source_id], pair=_pair(row, pairs)) for row in copies if not found(row)
    ]
    misses.sort(key=lambda miss: (*_order(miss.copy.difficulty), miss.pair.score or 0.0, miss.copy.image_id))
    figures = judge({row.image_id: row.source_id for row in rows}, heads)
    return Judgement(
        figures=figures,
        sources=len(firsts),
        total=tally(copies),
        by_edit=tallies(lambda row: row.edit),
        by_difficulty=tallies(lambda row: row.difficulty or _UNKNOWN),
        by_source=tallies(lambda row: row.source or _UNKNOWN),
        misses=tuple(misses),
        merges=_merges(rows, heads, frozenset(figures.mixed)),
    )


def _merges(rows: Sequence[Row], heads: Mapping[ImageId, ImageId], mixed: frozenset[ImageId]) -> tuple[FalseMerge, ...]:
    clusters: dict[ImageId, list[Row]] = defaultdict(list)
    for row in rows:
        if (head := _head(row, heads)) in mixed:
            clusters[head].append(row)
    merges, wrong = [], {}
    for head, members in clusters.items():
        counts = Counter(row.source_id for row in members)
        wrong[head] = len(members) - max(counts.values())
        members.sort(key=lambda row: (-counts[row.source_id], row.source_id, row.edit))
        merges.append(FalseMerge(head=head, rows=tuple(members)))
    return tuple(sorted(merges, key=lambda merge: (-wrong[merge.head], merge.head)))


def _head(row: Row, heads: Mapping[ImageId, ImageId]) -> ImageId:
    return heads.get(row.image_id, row.image_id)


def _pair(row: Row, pairs: Mapping[ImageId, Pair]) -> Pair:
    return pairs.get(row.image_id, Pair(candidate=False, score=None))


def _order(name: str) -> tuple[int, str]:
    """Difficulties from easy to extreme, other names after them by the alphabet."""
    return (DIFFICULTIES.index(name) if name in DIFFICULTIES else len(DIFFICULTIES), name)


def _share(part: int, whole: int) -> float:
    """1.0 of nothing: there was nothing to lose."""
    return part / whole if whole else 1.0
