"""What `neardup evaluate` does, stage by stage."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from indexer.propose import ProposalRules, Proposer
from neardup.cli.output import print_table
from neardup.cli.path_run import PathRun
from neardup.cli.wiring import Wiring
from neardup.clock import SystemClock
from neardup.embedder.fence import Fence
from neardup.errors import ConfigError, NearDupError, RateLimitedError
from neardup.evaluation.judgement import Judgement, Pair, Tally, judge_rows
from neardup.evaluation.manifest import Row, originals, read_manifest
from neardup.evaluation.report import write_report
from neardup.settings import Settings
from neardup.types import Embeddings, Image, ImageId, Proposal, Source

__all__ = ["Evaluation", "EvaluationRun"]

NAMESPACE: Final = "evaluate"
_ASKED_AT_ONCE: Final = 100
_SHOWN_MERGES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """`unreadable`: paths of files that are no images; they count as standing alone."""

    judgement: Judgement
    threshold: float
    model_version: int
    unreadable: tuple[str, ...]
    seconds: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        return {
            **self.judgement.as_json(),
            "match_threshold": self.threshold,
            "model_version": self.model_version,
            "unreadable": list(self.unreadable),
            "seconds": {stage: round(spent, 2) for stage, spent in self.seconds.items()},
        }

    def facts(self) -> list[tuple[str, str]]:
        """The main figures with their names."""
        judgement = self.judgement
        figures, total = judgement.figures, judgement.total
        return [
            ("images", str(figures.images)),
            ("sources", str(judgement.sources)),
            ("clusters", str(figures.clusters)),
            ("precision of pairs", f"{figures.precision:.4f}"),
            ("recall of pairs", f"{figures.recall:.4f}"),
            ("copies with their original", f"{total.found} of {total.copies} ({total.recall:.4f})"),
            ("original among the candidates", f"{total.candidate_recall:.4f}"),
            ("of these at the threshold", _share(total.score_recall)),
            ("false merges", str(len(judgement.merges))),
            ("images in a wrong cluster", f"{figures.wrong_share:.4f}"),
        ]


class EvaluationRun:
    """One evaluation. `quiet`: no progress, for programs."""

    def __init__(self, settings: Settings, *, quiet: bool) -> None:
        self._decode_limits = settings.decode
        self._path = PathRun(settings, NAMESPACE, settings.local.home / "evaluate", quiet=quiet)

    def go(self, manifest: Path, *, html: Path | None, clusters: Path | None, seed: int) -> Evaluation:
        """Run everything and write the files asked for. Raises NearDupError."""
        rows = read_manifest(manifest)
        for file in (html, clusters):
            if file is not None:
                _make_room(file)
        order = {row.file: row.image_id for row in rows}
        shuffled = list(order)
        random.Random(seed).shuffle(shuffled)  # noqa: S311 - an order, not a secret
        path = self._path
        with path.prepared() as wiring:
            try:
                with path.worker() as check:
                    with path.timed("embedding"):
                        published = path.publish(wiring, {file: order[file] for file in shuffled}, check, metadata={})
                    with path.timed("worker"):
                        path.drain(len(published), check)
                with path.timed("judging"):
                    heads = {placement.image_id: placement.head for placement in wiring.store.placements_all()}
                    asked = _ask_again(wiring, rows, published)
            finally:
                self._drop(wiring)
        result = Evaluation(
            judgement=judge_rows(rows, heads, asked.pairs, threshold=asked.threshold),
            threshold=asked.threshold,
            model_version=asked.model_version,
            unreadable=tuple(row.image_id for row in rows if row.image_id not in published),
            seconds=path.seconds,
        )
        if html is not None:
            fence = Fence(self._decode_limits)
            write_report(html, result.judgement, facts=result.facts(), threshold=asked.threshold, decode=fence.decode)
            fence.close()
        if clusters is not None:
            _write_clusters(clusters, rows, heads)
        return result

    def show(self, result: Evaluation) -> None:
        """Print the figures for a person."""
        judgement = result.judgement
        for name, tallies in (
            ("edit", judgement.by_edit),
            ("difficulty", judgement.by_difficulty),
            ("source", judgement.by_source),
        ):
            print_table(
                (name, "copies", "found", "recall", "candidate recall", "score recall"),
                list(map(_cells, tallies.items())),
            )
            click.echo("")
        if judgement.merges:
            print_table(
                ("cluster head", "images", "sources in it"),
                [
                    (merge.head, len(merge.rows), ", ".join(merge.source_ids))
                    for merge in judgement.merges[:_SHOWN_MERGES]
                ],
                title="False merges",
            )
            click.echo("")
        for name, value in result.facts():
            click.echo(f"{name}: {value}")
        if result.unreadable:
            click.echo(f"not readable as images: {len(result.unreadable)}, counted as alone")

    def _drop(self, wiring: Wiring) -> None:
        """Remove the namespace; that this fails must not hide why the run did."""
        try:
            wiring.drop()
        except NearDupError as exc:
            click.echo(f"the namespace {NAMESPACE} could not be removed ({exc}); the next run removes it", err=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    pairs: dict[ImageId, Pair]
    threshold: float
    model_version: int


def _ask_again(wiring: Wiring, rows: Sequence[Row], published: Mapping[ImageId, Embeddings]) -> _Asked:
    """Every copy as a probe of the finished index: is its original among the candidates, and how does it score?

    In the run an original may come after its copy; asking again when all are there treats every pair alike.
    """
    search = wiring.settings.search
    proposer = Proposer(
        lsh=wiring.lsh,
        search=wiring.search,
        scorer=wiring.scorer,
        clock=SystemClock(),
        rules=ProposalRules(
            candidate_limit=search.candidate_limit,
            minimum_overlap=search.minimum_overlap,
            probes=search.probes,
            kept_matches=search.candidate_limit,
            kept_below=search.candidate_limit,
        ),
    )
    firsts = originals(rows)
    copies = iter([row for row in rows if row.image_id in published and row != firsts[row.source_id]])
    pairs, threshold, model_version = {}, 1.0, 0
    largest = min(_ASKED_AT_ONCE, wiring.search_limiter.largest_request("interactive"))
    while batch := list(islice(copies, largest)):
        images = [
            Image(
                image_id=row.image_id, version=0, lsh=published[row.image_id].lsh, score=published[row.image_id].score
            )
            for row in batch
        ]
        for row, proposal in zip(batch, _patiently(proposer, images), strict=True):
            original = firsts[row.source_id].image_id
            score = next((match.score for match in proposal.matches if match.image_id == original), None)
            pairs[row.image_id] = Pair(candidate=score is not None, score=score)
            threshold, model_version = proposal.match_threshold, proposal.model_version
    return _Asked(pairs=pairs, threshold=threshold, model_version=model_version)


def _patiently(proposer: Proposer, images: Sequence[Image]) -> list[Proposal]:
    """The proposals, asked for as often as the search limit says to come later."""
    nowhere = Source(topic="", partition=0, offset=0)
    while True:
        try:
            return proposer.propose([(nowhere, image) for image in images])
        except RateLimitedError as exc:
            SystemClock().sleep(exc.retry_after_seconds)


def _make_room(file: Path) -> None:
    """Raises ConfigError when the file cannot be written: before the work is done, not after."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror or exc}") from exc


def _write_clusters(file: Path, rows: Sequence[Row], heads: Mapping[ImageId, ImageId]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("path", "head"))
        writer.writerows((row.image_id, heads.get(row.image_id, row.image_id)) for row in rows)


def _cells(item: tuple[str, Tally]) -> tuple[str, int, int, float, float, str]:
    name, tally = item
    return name, tally.copies, tally.found, tally.recall, tally.candidate_recall, _share(tally.score_recall)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
