"""What `neardup calibrate` does: embeds, clusters each source offline under many bounds, chooses, tells, saves."""

import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from scipy.stats import chi2

from neardup.cli.add import embed_files
from neardup.cli.plugins import load_embedder
from neardup.errors import ConfigError
from neardup.evaluation.curves import write_curves
from neardup.evaluation.figures import judge
from neardup.evaluation.manifest import Row, originals, read_manifest
from neardup.evaluation.offline import Model, OfflineCorpus
from neardup.evaluation.thresholds import Limits, PicturePairs, Trial, choose, picture_pairs, precision_bound
from neardup.settings import Settings
from neardup.types import Embeddings, ImageId
from scorer import calibration
from scorer.layout import copy_model, new_version, shipped_models, version_folder

__all__ = ["Calibrated", "Calibrating", "FalseMatches"]

_THRESHOLDS: Final = tuple(round(1 / (1 + math.exp(-step / 2)), 4) for step in range(-8, 15))
"""From 0.018 to 0.9991, at even steps of the odds."""
_HEAD_BOUNDS: Final = (0.1, 0.5, 0.9)
_CORPORA: Final = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseMatches:
    """Wrong pairs at the threshold, of so many possible ones; expected and, with the confidence, at most so many a
    probe in a corpus of each size."""

    wrong: int
    possible: int
    expected: dict[int, float]
    at_most: dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """`trials`: all that was tried; `chosen`: None when no trial holds the limits, and then no false matches either."""

    model_version: int
    images: int
    pictures: int
    sources: int
    unreadable: int
    trials: tuple[Trial, ...]
    chosen: Trial | None
    false_matches: FalseMatches | None

    def as_json(self) -> dict[str, Any]:
        def plain(trial: Trial) -> dict[str, float]:
            return {name: getattr(trial, name) for name in Trial.__dataclass_fields__}

        found = self.false_matches
        return {
            "model_version": self.model_version,
            "images": self.images,
            "pictures": self.pictures,
            "sources": self.sources,
            "unreadable": self.unreadable,
            "chosen": plain(self.chosen) if self.chosen else None,
            "false_matches_a_probe": {
                str(size): {"expected": found.expected[size], "at_most": found.at_most[size]} for size in _CORPORA
            }
            if found
            else None,
            "trials": [plain(trial) for trial in self.trials],
        }


class Calibrating:
    """One run; `quiet`: no progress, for programs."""

    def __init__(
        self,
        settings: Settings,
        *,
        model_dir: Path | None,
        version: int | None,
        limits: Limits,
        confidence: float,
        orders: int,
        quiet: bool,
    ) -> None:
        self._settings = settings
        self._models = model_dir or settings.scorer.model_dir or shipped_models()
        if version is not None:
            version_folder(self._models, version)
        self._model = Model.load(self._models, version)
        self._limits = limits
        self._confidence = confidence
        self._orders = orders
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=self._console,
            disable=quiet,
        )

    def go(self, manifest: Path) -> Calibrated:
        """Raises ConfigError for a manifest that cannot be judged by."""
        rows = read_manifest(manifest)
        if len({row.source_id for row in rows}) < 2:
            raise ConfigError(f"{manifest}: needs pictures of at least two source_ids, else nothing can be wrong")
        with self._progress:
            known = self._embed(rows)
            corpora = self._corpora(rows, known)
            trials = tuple(self._try(corpora))
        chosen = choose(trials, self._limits)
        return Calibrated(
            model_version=self._model.version,
            images=len(known),
            pictures=len({row.source_id for row in rows}),
            sources=len(corpora),
            unreadable=len(rows) - len(known),
            trials=trials,
            chosen=chosen,
            false_matches=self._false_matches(corpora, chosen.threshold) if chosen else None,
        )

    def show(self, result: Calibrated) -> None:
        """Tables on standard output."""
        console = Console()
        bound = result.chosen.head_bound if result.chosen else _HEAD_BOUNDS[0]
        table = Table(title=f"model version {result.model_version}, head bound {bound:g}", title_justify="left")
        for column in ("threshold", "precision", "at least", "worst source", "wrong share there", "recall"):
            table.add_column(column, justify="right")
        for trial in result.trials:
            if trial.head_bound == bound:
                values = (trial.precision, trial.precision_bound, trial.worst_precision, trial.worst_wrong_share)
                cells = (f"{trial.threshold:g}", *(f"{value:.4f}" for value in values), f"{trial.recall:.3f}")
                table.add_row(*cells, style="bold" if trial == result.chosen else None)
        console.print(table)
        console.print(
            f"{result.images} images of {result.pictures} pictures in {result.sources} sources"
            + (f", {result.unreadable} unreadable" if result.unreadable else "")
        )
        if result.chosen is None or result.false_matches is None:
            console.print("no threshold holds the limits: loosen them, or train on pictures like these")
            return
        console.print(
            f"chosen: match threshold {result.chosen.threshold:g}, head bound {result.chosen.head_bound:g} "
            f"(witness bound {min(result.chosen.threshold, self._model.witness_bound):g}); "
            f"precision at least {result.chosen.precision_bound:.4f} with {self._confidence:.0%} confidence"
        )
        for size, expected in result.false_matches.expected.items():
            console.print(
                f"false matches a probe among {size:,} images: {expected:.2g} expected, "
                f"at most {result.false_matches.at_most[size]:.2g}"
            )

    def save(self, chosen: Trial, version: int) -> None:
        """The model under a new number with the chosen bounds. Raises ConfigError when the number is taken."""
        if (self._models / str(version)).exists():
            raise ConfigError(f"--save-as: version {version} is already in {self._models}")
        source = version_folder(self._models, self._model.version)
        record = calibration.CalibrationRecord(
            model_version=version,
            match_threshold=chosen.threshold,
            witness_bound=min(chosen.threshold, self._model.witness_bound),
            head_bound=chosen.head_bound,
            obtained=(
                f"neardup calibrate on version {self._model.version}: precision {chosen.precision:.5f}, at least "
                f"{chosen.precision_bound:.5f} with confidence {self._confidence:g}; worst source: precision "
                f"{chosen.worst_precision:.5f}, wrong share {chosen.worst_wrong_share:.5f}; recall {chosen.recall:.4f}"
            ),
        )
        with new_version(self._models, version) as folder:
            copy_model(source, folder)
            calibration.save(record, folder)
        self._console.print(f"version {version} written to {self._models}")

    def write_page(self, result: Calibrated, path: Path) -> None:
        """Curves and table as one HTML file."""
        facts = [
            ("model version", str(result.model_version)),
            ("images", f"{result.images:,}"),
            ("pictures", f"{result.pictures:,}"),
            ("sources", str(result.sources)),
        ]
        if result.false_matches:
            facts += [
                (f"false matches among {size:,}", f"{expected:.2g}")
                for size, expected in result.false_matches.expected.items()
            ]
        write_curves(path, result.trials, result.chosen, self._limits, facts=facts)

    def _embed(self, rows: Sequence[Row]) -> dict[ImageId, Embeddings]:
        task = self._progress.add_task("embedding", total=len(rows))
        by_file = {row.file.absolute(): row.image_id for row in rows}
        known: dict[ImageId, Embeddings] = {}
        for file, made in embed_files(list(by_file), self._settings.embedder):
            if isinstance(made, Embeddings):
                known[by_file[file]] = made
            else:
                sys.stderr.write(f"{file}: {made}\n")
            self._progress.advance(task)
        return known

    def _corpora(self, rows: Sequence[Row], known: dict[ImageId, Embeddings]) -> list[OfflineCorpus]:
        by_source: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row.image_id in known:
                by_source[row.source].append(row)
        task = self._progress.add_task("scoring", total=len(by_source))
        corpora, words = [], load_embedder(self._settings.embedder).words
        for each in by_source.values():
            embeddings = [known[row.image_id] for row in each]
            corpora.append(OfflineCorpus(each, embeddings, self._model, self._settings, words=words))
            self._progress.advance(task)
        return corpora

    def _try(self, corpora: Sequence[OfflineCorpus]) -> Iterator[Trial]:
        task = self._progress.add_task("clustering", total=len(_THRESHOLDS) * len(_HEAD_BOUNDS))
        for threshold in _THRESHOLDS:
            for head_bound in _HEAD_BOUNDS:
                if head_bound <= threshold:
                    yield self._trial(corpora, threshold, head_bound)
                self._progress.advance(task)

    def _trial(self, corpora: Sequence[OfflineCorpus], threshold: float, head_bound: float) -> Trial:
        """The worst of the orders for what is wrong, the mean for what is found."""
        pooled: list[PicturePairs] = []
        worst_precision, worst_wrong, recalls, bounds = 1.0, 0.0, [], []
        for seed in range(self._orders):
            pooled = []
            for corpus in corpora:
                heads = corpus.heads(threshold=threshold, head_bound=head_bound, seed=seed)
                truth = {row.image_id: row.source_id for row in corpus.rows}
                figures = judge(truth, heads)
                worst_precision = min(worst_precision, figures.precision)
                worst_wrong = max(worst_wrong, figures.wrong_share)
                pooled += picture_pairs(truth, heads).values()
                if (recall := _recall(corpus.rows, heads)) is not None:
                    recalls.append(recall)
            right, wrong = sum(each.right for each in pooled), sum(each.wrong for each in pooled)
            precision = right / (right + wrong) if right + wrong else 1.0
            bounds.append((precision, precision_bound(pooled, confidence=self._confidence)))
        precision, bound = min(bounds)
        return Trial(
            threshold=threshold,
            head_bound=head_bound,
            precision=precision,
            precision_bound=bound,
            worst_precision=worst_precision,
            worst_wrong_share=worst_wrong,
            recall=float(np.mean(recalls)) if recalls else 0.0,
        )

    def _false_matches(self, corpora: Sequence[OfflineCorpus], threshold: float) -> FalseMatches:
        """Pairs are not independent, so the bound is that of a Poisson count and rough."""
        wrong = possible = 0
        for corpus in corpora:
            truth, scores = corpus.pairs()
            wrong += int((~truth & (scores >= threshold)).sum())
            sizes = np.unique([row.source_id for row in corpus.rows], return_counts=True)[1]
            possible += len(corpus.rows) ** 2 - int((sizes.astype(np.int64) ** 2).sum())
        rate = wrong / max(possible, 1)
        upper = float(chi2.ppf(self._confidence, 2 * (wrong + 1))) / 2 / max(possible, 1)
        return FalseMatches(
            wrong=wrong,
            possible=possible,
            expected={size: rate * size for size in _CORPORA},
            at_most={size: upper * size for size in _CORPORA},
        )


def _recall(rows: Sequence[Row], heads: dict[ImageId, ImageId]) -> float | None:
    """The share of the copies in the cluster of their original; None without copies."""
    firsts = originals(rows)
    found = [
        heads[row.image_id] == heads[firsts[row.source_id].image_id]
        for row in rows
        if row.image_id != firsts[row.source_id].image_id
    ]
    return sum(found) / len(found) if found else None
