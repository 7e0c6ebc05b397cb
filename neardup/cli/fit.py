"""`neardup fit`: an LSH model for embeddings of the user's own, and what to expect of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from neardup.cli.output import json_option, print_json, print_table
from neardup.errors import ConfigError
from neardup.fitting.comparison import compare
from neardup.fitting.fit import fit
from neardup.fitting.model import FittedModel
from neardup.fitting.report import CORPUS_SIZES, Figures, SearchShape
from neardup.fitting.sample import Sample, check_lsh, check_score, read_pairs, read_sample, without_words
from neardup.lsh import default_tables
from neardup.settings import load_settings
from neardup.words import MOST_WORDS

__all__ = ["fit_command"]

_DIMENSION = 256
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("fit")
@click.option("--lsh", "lsh_file", type=_FILE, help="Embeddings for the terms: .npy or .npz, (images, dimension).")
@click.option("--score", "score_file", type=_FILE, help="Embeddings for the scorer, of the same images.")
@click.option("--from-topic", is_flag=True, help="Take both from the topics of the namespace instead.")
@click.option("--rows", type=click.IntRange(1), default=20_000, show_default=True, help="With --from-topic: at most.")
@click.option("--pairs", "pairs_file", type=_FILE, help="Known near-duplicates: CSV, two ids (or row numbers) a line.")
@click.option("--embeddings", required=True, help="Name and version of what made them, such as the embedder's version.")
@click.option(
    "--words",
    type=click.IntRange(0, MOST_WORDS),
    default=0,
    show_default=True,
    help="That the embeddings for the terms end with, two numbers each.",
)
@click.option("--dimension", type=click.IntRange(8, 1024), help="Of the result.  [default: 256, at most its own]")
@click.option("--allow-constant-columns", is_flag=True, help="Accept columns that are the same in every row.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@json_option
def fit_command(
    *,
    lsh_file: Path | None,
    score_file: Path | None,
    from_topic: bool,
    rows: int,
    pairs_file: Path | None,
    embeddings: str,
    words: int,
    dimension: int | None,
    allow_constant_columns: bool,
    output: Path,
    as_json: bool,
) -> None:
    """Learn centring and whitening from a sample of embeddings, and write an LSH model.

    Set NEARDUP_LSH__MODEL to the file in all processes of the namespace. Tables, bits and seed are taken from the
    settings and kept in the file. With pairs of known near-duplicates the model is better, and the expected recall is
    measured on pairs that it has not seen. docs/embeddings.md goes through it step by step.
    """
    settings = load_settings()
    if settings.lsh.model is not None:
        raise ConfigError("NEARDUP_LSH__MODEL: unset it to fit another model")
    if embeddings != "".join(embeddings.split()) or not embeddings:
        raise click.BadParameter("must be one word", param_hint="--embeddings")
    if from_topic:
        if lsh_file or score_file:
            raise click.UsageError("--from-topic takes the place of --lsh and --score")
        lsh, score = _from_topic(rows)
    elif lsh_file and score_file:
        lsh, score = read_sample(lsh_file), read_sample(score_file)
    else:
        raise click.UsageError("give --lsh and --score, or --from-topic")
    directions = without_words(lsh, words)
    width = dimension or min(_DIMENSION, directions.embeddings.shape[1])
    check_lsh(directions, dimension=width, allow_constant=allow_constant_columns)
    check_score(score, lsh)
    pairs = read_pairs(pairs_file, lsh) if pairs_file else np.empty((0, 2), dtype=np.intp)
    model = FittedModel(
        embeddings=embeddings,
        score_dimension=score.embeddings.shape[1],
        tables=settings.lsh.tables or default_tables(words),
        bits_per_table=settings.lsh.bits_per_table,
        seed=settings.lsh.seed,
        projection=fit(directions.embeddings, pairs, dimension=width),
        origin=f"{len(lsh.ids)} rows of {lsh.name}, {len(pairs)} pairs",
        words=words,
    )
    search = settings.search
    shape = SearchShape(
        probes=search.probes, candidate_limit=search.candidate_limit, minimum_overlap=search.minimum_overlap
    )
    report = _Report(output, model, len(lsh.ids), len(pairs), shape, compare(lsh.embeddings, pairs, model, shape))
    model.save(output)
    if as_json:
        print_json(report.as_json())
    else:
        report.print()


def _from_topic(rows: int) -> tuple[Sample, Sample]:
    from neardup.cli.fit_topic import samples_of_topics
    from neardup.cli.wiring import opened

    with opened() as wiring:
        return samples_of_topics(wiring.kafka, wiring.topics, partitions=wiring.settings.kafka.partitions, rows=rows)


@dataclass(frozen=True, slots=True)
class _Report:
    output: Path
    model: FittedModel
    rows: int
    pairs: int
    shape: SearchShape
    figures: Mapping[str, Figures]

    def print(self) -> None:
        model = self.model
        words = f" and up to {model.words} words" if model.words else ""
        click.echo(f"{self.output}: lsh_version {model.lsh.version}, from {model.origin}")
        click.echo(
            f"{len(model.projection.mean)} numbers -> {model.projection.dimension} -> {model.tables} terms of "
            f"{model.bits_per_table} bits{words}; a query asks for {model.tables * (1 + self.shape.probes)}{words}"
        )
        rows = ((name, *cells) for name, cells in self._table().items())
        print_table(("figure", *self.figures), rows, title="")
        balanced = self.figures["fitted"].balanced
        click.echo("terms are balanced" if balanced else "terms are NOT balanced: is the sample like the corpus?")
        if not self.pairs:
            click.echo("without pairs recall is that of made-up copies; real ones may do worse (--pairs)")
        click.echo(f"use it with NEARDUP_LSH__MODEL={self.output.absolute()}")

    def as_json(self) -> dict[str, Any]:
        model = self.model
        return {
            "file": str(self.output),
            "lsh_version": model.lsh.version,
            "embeddings": model.embeddings,
            "rows": self.rows,
            "pairs": self.pairs,
            "dimension": model.lsh_dimension,
            "words": model.words,
            "projected_dimension": model.projection.dimension,
            "score_dimension": model.score_dimension,
            "tables": model.tables,
            "bits_per_table": model.bits_per_table,
            "seed": model.seed,
            "probes": self.shape.probes,
            "candidate_limit": self.shape.candidate_limit,
            "balanced": self.figures["fitted"].balanced,
            "corpus_sizes": list(CORPUS_SIZES),
            "figures": {name: _figures_json(one) for name, one in self.figures.items()},
        }

    def _table(self) -> dict[str, list[str]]:
        """Name of a figure -> one text for each of the compared."""
        each = list(self.figures.values())
        table = {
            "largest posting list, of all images": [f"{one.largest_list:.2%}" for one in each],
            "the same, if all terms were equal": [f"{one.largest_by_chance:.2%}" for one in each],
        }
        for number, size in enumerate(CORPUS_SIZES):
            at = f"at {size // 1_000_000} M"
            table[f"postings a query {at}"] = [f"{one.postings[number]:,.0f}" for one in each]
            table[f"ideal {at}"] = [f"{one.ideal[number]:,.0f}" for one in each]
            table[f"overlap of the last candidate {at}"] = [str(one.cutoffs[number]) for one in each]
            for name in each[0].recall:
                table[f"recall {at}: {name}"] = [f"{one.recall[name][number]:.3f}" for one in each]
        return table


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {
        "largest_list": figures.largest_list,
        "largest_list_by_chance": figures.largest_by_chance,
        "postings_a_query": list(figures.postings),
        "ideal_postings_a_query": list(figures.ideal),
        "cutoff_overlap": list(figures.cutoffs),
        "recall": {name: list(values) for name, values in figures.recall.items()},
    }
