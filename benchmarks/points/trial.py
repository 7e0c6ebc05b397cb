"""The order of things: copies, embeddings and points, clusters by three scorers, candidates by two kinds of terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.points.clusters import Outcome, at_the_limit, kind_of
from benchmarks.points.collection import Collection, collections_of
from benchmarks.points.fusion import Shipped, Truth, WithPoints, learn
from benchmarks.points.terms import Searched, search
from benchmarks.points.views import see
from benchmarks.quality.corpus import DEMO, Corpus, find_corpus
from benchmarks.report import Report
from neardup.demo.corpus import sample_photos
from neardup.edits.edit import DIFFICULTIES
from neardup.evaluation.manifest import Row
from neardup.evaluation.offline import Model
from neardup.settings import Settings, load_settings

__all__ = ["Plan", "run"]

_KINDS: Final = ("everyday", *DIFFICULTIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`at_most`: pictures of each folder, or of the demo's photos; `edits`: copies of each, None for all."""

    at_most: int
    edits: int | None


def run(report: Report, plan: Plan, folders: Sequence[Path], out: Path, cache: Path) -> None:
    """Everything."""
    settings = load_settings()
    rows = _corpus(plan, folders, cache).copies(out, hard=True, each=plan.edits)
    report.note(f"{len(rows)} images: embeddings and points")
    seen = see(rows)
    _terms(report, rows, search(rows, seen.embeddings, seen.points, settings))
    report.flush()
    collections = collections_of(rows, seen.with_points())
    report.figures["images"] = len(rows)
    report.figures["median_points"] = float(np.median([len(each.places) for each in seen.points]))
    _clusters(report, collections, settings)


def _corpus(plan: Plan, folders: Sequence[Path], cache: Path) -> Corpus:
    """Without folders the demo's photos; those that are not edited are look-alikes."""
    corpus = find_corpus(folders, cache, at_most=plan.at_most, demo=None if folders else plan.at_most)
    if folders:
        return corpus
    chosen = set(corpus.sources[DEMO])
    return replace(corpus, distractors={DEMO: [photo for photo in sample_photos() if photo not in chosen]})


def _terms(report: Report, rows: Sequence[Row], searched: Mapping[str, Searched]) -> None:
    for name, each in searched.items():
        kinds = np.array([kind_of(rows[number]) for number in each.copies])
        shares = {kind: float(each.found[kinds == kind].mean()) for kind in _KINDS if (kinds == kind).any()}
        report.figures |= {f"{name}_{kind}_candidate_recall": share for kind, share in shares.items()}
        report.figures[f"{name}_postings_per_million"] = each.postings
        report.row(
            "original among the best 200 of a million, extrapolated",
            terms="shipped" if name == "terms" else "with words of points",
            **{kind: f"{share:.3f}" for kind, share in shares.items()},
            postings=f"{each.postings:,.0f}",
        )


def _clusters(report: Report, collections: Sequence[Collection], settings: Settings) -> None:
    """Each collection by itself, at the strictest of their thresholds; points by weights learned from the others."""
    shipped = Shipped(**_fields(Model.load(settings.scorer.model_dir)))
    right = Truth(**_fields(shipped))
    report.note("learning")
    samples = [each.sample(shipped, settings) for each in collections]
    fused = [
        WithPoints(**_fields(shipped), weights=learn([*samples[:left_out], *samples[left_out + 1 :]]))
        for left_out in range(len(collections))
    ]
    corpora = {
        "shipped": [each.corpus(shipped, settings) for each in collections],
        "points": [each.corpus(model, settings) for each, model in zip(collections, fused, strict=True)],
        "right": [each.with_names().corpus(right, settings) for each in collections],
    }
    for name, each in corpora.items():
        report.note(f"clusters: {name}")
        _outcome(report, name, at_the_limit(each))


def _outcome(report: Report, name: str, outcome: Outcome | None) -> None:
    table = "recall at the strictest threshold, each collection by itself"
    method = {"shipped": "shipped", "points": "shipped + points", "right": "all candidates right"}[name]
    if outcome is None:
        report.row(table, scorer=method, threshold="none keeps the limit")
        return
    report.figures |= {f"{name}_{kind}_recall": share for kind, share in outcome.recall.items()}
    report.figures |= {f"{name}_threshold": outcome.threshold, f"{name}_wrong_share": outcome.wrong_share}
    report.row(
        table,
        scorer=method,
        threshold=f"{outcome.threshold:.2f}",
        wrong_share=f"{outcome.wrong_share:.4f}",
        **{kind: f"{outcome.recall[kind]:.3f}" for kind in _KINDS if kind in outcome.recall},
    )


def _fields(model: Model) -> dict[str, Any]:
    return {each.name: getattr(model, each.name) for each in fields(Model)}
