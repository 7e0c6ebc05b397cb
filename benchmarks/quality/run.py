"""The order of things: copies, views, the whole path, offline by source, the peers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.quality.corpus import find_corpus
from benchmarks.quality.peers import PEERS, Chain
from benchmarks.quality.retrain import train_without
from benchmarks.quality.views import Views, embed_ms, see
from benchmarks.report import Report
from neardup.cli.evaluate_run import EvaluationRun
from neardup.edits.named import EDITS, HARD_EDITS
from neardup.embedder.default import DefaultEmbedder
from neardup.evaluation.judgement import Judgement, Tally
from neardup.evaluation.manifest import ORIGINAL, Row, read_manifest, write_manifest
from neardup.evaluation.offline import Model, OfflineCorpus
from neardup.settings import Settings, load_settings

__all__ = ["Plan", "run"]

_SEED: Final = 0
_TRAINED_AT_MOST: Final = 120
_LEAST_PICTURES: Final = 4
"""A source of fewer pictures has a row but no part in the figures."""
_FAMILIES: Final = {edit.name: edit.family for edit in (*EDITS, *HARD_EDITS)}
_EVERYDAY: Final = frozenset(edit.name for edit in EDITS) | {ORIGINAL}
_HARDER: Final = frozenset(edit.name for edit in HARD_EDITS) | {ORIGINAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`at_most`: pictures of each folder; `demo`: so many of the sample photos as a further source; `orders`: of
    arrival, for the offline figures."""

    at_most: int
    demo: int | None
    orders: int

    def changed(self, at_most: int | None) -> "Plan":
        return self if at_most is None else replace(self, at_most=at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """One set of edits: its name, the prefix of its figures, and the rows."""

    name: str
    prefix: str
    numbers: list[int]


def run(
    report: Report,
    plan: Plan,
    folders: Sequence[Path],
    out: Path,
    *,
    cache: Path,
    html: Path | None,
    engines: bool,
    retrain: bool,
) -> None:
    """Everything, with tables as soon as they are complete."""
    settings = load_settings()
    rows = _rows(report, plan, folders, out, cache)
    report.figures["embed_ms"] = embed_ms(rows)
    report.note(f"embedding {len(rows)} images")
    views = see(rows)
    model = Model.load(settings.scorer.model_dir)
    sets = (_set("everyday", "", rows, _EVERYDAY), _set("harder", "hard_", rows, _HARDER))
    for edits in sets:
        chosen, seen = [rows[number] for number in edits.numbers], views.of(edits.numbers)
        report.note(f"{edits.name} edits, offline: {len(chosen)} images")
        offline = OfflineCorpus(chosen, seen.embeddings, model, settings, words=DefaultEmbedder.words).judged(
            seed=_SEED
        )
        _all(report, f"{edits.name} edits, all sources", "neardup, offline", offline)
        _headline(report, edits.prefix, offline)
        report.note(f"{edits.name} edits, peers")
        _peers(report, edits, chosen, seen, offline)
        _edits(report, edits.name, offline)
        report.flush()
        if not retrain:
            _by_source(
                report,
                plan=plan,
                edits=edits,
                sources=_sources(chosen, seen),
                models={},
                model=model,
                settings=settings,
            )
        report.flush()
    # Last, because it takes longest: the figures of the real path replace those without engines.
    for edits in sets if engines else ():
        chosen = [rows[number] for number in edits.numbers]
        report.note(f"{edits.name} edits, whole path")
        real = _whole_path(chosen, out / f"{edits.name}.csv", settings, html if edits.prefix else None)
        _all(report, f"{edits.name} edits, whole path", "neardup, whole path", real)
        _headline(report, edits.prefix, real)
        report.flush()
    if retrain:
        _leave_one_out(report, plan=plan, folders=folders, rows=rows, out=out, cache=cache, settings=settings)


def _rows(report: Report, plan: Plan, folders: Sequence[Path], out: Path, cache: Path) -> list[Row]:
    """The copies in `out`; made there unless an earlier run did."""
    manifest = out / "manifest.csv"
    if manifest.is_file():
        report.note(f"copies of an earlier run: {manifest}")
        return read_manifest(manifest)
    corpus = find_corpus(folders, cache, at_most=plan.at_most, demo=plan.demo)
    report.note("pictures: " + ", ".join(f"{name} {len(files)}" for name, files in corpus.sources.items()))
    return corpus.copies(out, hard=True, each=None)


def _set(name: str, prefix: str, rows: Sequence[Row], edits: frozenset[str]) -> _Set:
    return _Set(name=name, prefix=prefix, numbers=[number for number, row in enumerate(rows) if row.edit in edits])


def _whole_path(rows: Sequence[Row], manifest: Path, settings: Settings, html: Path | None) -> Judgement:
    """`neardup evaluate` on the rows."""
    write_manifest(manifest, rows)
    return EvaluationRun(settings, quiet=True).go(manifest, html=html, clusters=None, seed=_SEED).judgement


def _headline(report: Report, prefix: str, judgement: Judgement) -> None:
    families = _by_family(judgement)
    report.figures |= {
        f"{prefix}precision": judgement.figures.precision,
        f"{prefix}wrong_share": judgement.figures.wrong_share,
        f"{prefix}recall": judgement.total.recall,
        f"{prefix}candidate_recall": judgement.total.candidate_recall,
        f"{prefix}score_recall": judgement.total.score_recall or 0.0,
        f"{prefix}worst_family_recall": min(families.values()),
        f"{prefix}screenshot_recall": families["screenshot"],
    }
    if not prefix:
        report.figures["crop30_recall"] = judgement.by_edit["crop-30"].recall


def _by_family(judgement: Judgement) -> dict[str, float]:
    tallies: dict[str, list[Tally]] = defaultdict(list)
    for edit, tally in judgement.by_edit.items():
        tallies[_FAMILIES[edit]].append(tally)
    return {
        family: sum(tally.found for tally in each) / sum(tally.copies for tally in each)
        for family, each in sorted(tallies.items())
    }


def _all(report: Report, table: str, method: str, judgement: Judgement, limit: float | None = None) -> None:
    figures = judgement.figures
    report.row(
        table,
        method=method,
        images=figures.images,
        limit="" if limit is None else f"{limit:.4g}",
        precision=f"{figures.precision:.4f}",
        wrong_share=f"{figures.wrong_share:.4f}",
        recall=f"{judgement.total.recall:.4f}",
        **{name: f"{tally.recall:.3f}" for name, tally in judgement.by_difficulty.items()},
    )


def _peers(report: Report, edits: _Set, rows: Sequence[Row], views: Views, ours: Judgement) -> None:
    table = f"{edits.name} edits, all sources"
    for peer in PEERS:
        chain = Chain(peer, rows, views, seed=_SEED)
        if peer.limit is not None:
            _all(report, table, f"{peer.name} at its usual limit", chain.judged(peer.limit), peer.limit)
        limit = chain.limit_at(ours.figures.wrong_share)
        same = chain.judged(limit)
        _all(report, table, f"{peer.name} at the same wrong share", same, limit)
        short = peer.name.split()[0].lower()
        report.figures[f"{edits.prefix}{short}_recall_at_same_wrong_share"] = same.total.recall


def _edits(report: Report, name: str, judgement: Judgement) -> None:
    for edit, tally in sorted(judgement.by_edit.items(), key=lambda item: (_FAMILIES[item[0]], item[0])):
        report.row(
            f"{name} edits, one by one",
            family=_FAMILIES[edit],
            edit=edit,
            found=f"{tally.recall:.3f}",
            candidate=f"{tally.candidate_recall:.3f}",
            scored="" if tally.score_recall is None else f"{tally.score_recall:.3f}",
        )


def _sources(rows: Sequence[Row], views: Views) -> dict[str, tuple[list[Row], Views]]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        numbers[row.source].append(number)
    return {source: ([rows[number] for number in chosen], views.of(chosen)) for source, chosen in numbers.items()}


def _by_source(
    report: Report,
    *,
    plan: Plan,
    edits: _Set,
    sources: Mapping[str, tuple[list[Row], Views]],
    models: Mapping[str, Model],
    model: Model,
    settings: Settings,
) -> None:
    """Each source by itself, in several orders; the figures are means over sources, and the worst source."""
    found: list[tuple[float, float, float]] = []
    for source, (rows, views) in sources.items():
        corpus = OfflineCorpus(rows, views.embeddings, models.get(source, model), settings, words=DefaultEmbedder.words)
        judged = [corpus.judged(seed=seed) for seed in range(plan.orders)]
        precision = min(each.figures.precision for each in judged)
        wrong = max(each.figures.wrong_share for each in judged)
        recall = sum(each.total.recall for each in judged) / len(judged)
        pictures = len({row.source_id for row in rows if row.edit != ORIGINAL})
        if pictures >= _LEAST_PICTURES:
            found.append((precision, wrong, recall))
        report.row(
            f"{edits.name} edits, each source by itself (offline, worst of {plan.orders} orders)",
            source=source,
            pictures=pictures,
            images=judged[0].figures.images,
            precision=f"{precision:.4f}",
            wrong_share=f"{wrong:.4f}",
            recall=f"{recall:.4f}",
        )
    if not found:
        return
    precisions, wrongs, recalls = zip(*found, strict=True)
    report.figures |= {
        f"{edits.prefix}loso_pair_precision": sum(precisions) / len(found),
        f"{edits.prefix}loso_wrong_share": sum(wrongs) / len(found),
        f"{edits.prefix}loso_recall": sum(recalls) / len(found),
        f"{edits.prefix}loso_worst_pair_precision": min(precisions),
        f"{edits.prefix}loso_worst_wrong_share": max(wrongs),
        f"{edits.prefix}loso_worst_recall": min(recalls),
    }


def _leave_one_out(
    report: Report,
    *,
    plan: Plan,
    folders: Sequence[Path],
    rows: Sequence[Row],
    out: Path,
    cache: Path,
    settings: Settings,
) -> None:
    """Each source by weights that were trained without it."""
    seen: dict[str, tuple[list[Row], Views]] = {}
    models: dict[str, Model] = {}
    for folder in folders:
        source = folder.resolve().name
        mine = [row for row in rows if row.source == source]
        if not mine:
            continue
        report.note(f"training without {source}")
        weights = out / "without" / source
        weights.mkdir(parents=True, exist_ok=True)
        whitening, scorers = train_without(folder, folders, cache, weights, _TRAINED_AT_MOST)
        seen[source] = mine, see(mine, whitening)
        models[source] = Model.load(scorers)
    for name, prefix, chosen in (("everyday", "", _EVERYDAY), ("harder", "hard_", _HARDER)):
        part = {}
        for source, (mine, views) in seen.items():
            numbers = _set(name, prefix, mine, chosen).numbers
            part[source] = [mine[number] for number in numbers], views.of(numbers)
        edits = _Set(name=name, prefix=prefix, numbers=[])
        _by_source(
            report,
            plan=plan,
            edits=edits,
            sources=part,
            models=models,
            model=next(iter(models.values())),
            settings=settings,
        )
    report.flush()
