"""`neardup train`: the shipped weights, made again from pictures. docs/models.md tells how to get the pictures."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from neardup.cli.output import json_option, print_json
from neardup.cli.training_extra import needing_tensorflow
from neardup.edits.named import EDITS
from neardup.embedder import training
from neardup.embedder.carve import images_in
from neardup.embedder.training import Picture, Side
from neardup.embedder.whitening import Whitening, shipped_whitening
from neardup.errors import ConfigError
from neardup.evaluation.pairs import JudgedPair, read_pairs
from neardup.lsh import LshModel
from neardup.points.describe import COUNT
from scorer.calibration import CalibrationRecord, save
from scorer.evaluation import all_pairs, bounds, report, with_probabilities
from scorer.layout import new_version, shipped_models
from scorer.onnx_network import save_graphs
from scorer.training import EmbeddedCopies, Lesson, candidate_pairs, near_copies, with_trust

__all__ = ["train"]

_SCORER_PROBES = 6000
_SCORER_CANDIDATES = 80
_FOLDERS = click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
_CACHE = click.option("--cache", type=click.Path(path_type=Path), required=True, help="Folder for computed features.")
_JOBS = click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default="number of cores")
_EXCLUDE = click.option(
    "--exclude",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Pictures that must not be learned from; default: the demo's photos.",
)
_AT_MOST = click.option("--at-most", type=click.IntRange(1), default=400, show_default=True, help="Files a folder.")


@click.group()
def train() -> None:
    """Make the weights of the embedder and of the scorer."""


@train.command()
@click.argument("destination", type=click.Path(path_type=Path, file_okay=False))
@click.argument("archives", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def images(destination: Path, archives: Sequence[Path], *, as_json: bool) -> None:
    """Unpack the images of Debian packages (.deb) and Qt resource files (.rcc) into DESTINATION."""
    counts = {}
    for archive in archives:
        folder = destination / archive.name.split("_")[0]
        folder.mkdir(parents=True, exist_ok=True)
        names = {}
        for name, data in images_in(archive):
            file = f"{hashlib.sha256(data).hexdigest()[:32]}{Path(name).suffix.lower()}"
            (folder / file).write_bytes(data)
            names[file] = name
        (folder / "names.json").write_text(json.dumps(names, indent=1, sort_keys=True) + "\n")
        counts[archive.name] = len(names)
        if not as_json:
            click.echo(f"{archive.name}: {len(names)} images")
    if as_json:
        print_json(counts)


@train.command()
@_FOLDERS
@_CACHE
@_JOBS
@_EXCLUDE
@_AT_MOST
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The file to write, whitening.npz.")
@json_option
def embedder(
    *, folders: Sequence[Path], cache: Path, jobs: int, exclude: Path | None, at_most: int, output: Path, as_json: bool
) -> None:
    """Learn the whitening from the pictures in FOLDERS and their edited copies."""
    pictures, _ = _distinct(folders=folders, cache=cache, jobs=jobs, exclude=exclude, at_most=at_most)
    chosen = [picture for picture in pictures if picture.side == "whitening"]
    originals, copies = _features(chosen, cache, jobs)
    whitening = training.fit_whitening(originals, copies)
    whitening.save(output)
    made = {"file": str(output), "digest": whitening.digest, "pictures": len(originals), "copies": copies.shape[1]}
    if as_json:
        print_json(made)
    else:
        click.echo("{file}: whitening {digest} from {pictures} pictures, {copies} copies each".format(**made))


@train.command()
@_FOLDERS
@_CACHE
@_JOBS
@_EXCLUDE
@_AT_MOST
@click.option("--whitening", type=click.Path(path_type=Path), help="whitening.npz; default: the shipped one.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of versions; default: the shipped one.")
@click.option("--version", type=click.IntRange(1), required=True, help="Number of the new model version.")
@click.option("--held-out", type=click.IntRange(1), default=100, show_default=True, help="Pictures to judge by.")
@click.option(
    "--pairs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Pairs that people judged, to learn from as well: CSV with the columns a,b,link.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True)
@json_option
def scorer(
    *,
    folders: Sequence[Path],
    cache: Path,
    jobs: int,
    exclude: Path | None,
    at_most: int,
    whitening: Path | None,
    output: Path | None,
    version: int,
    held_out: int,
    pairs: Path | None,
    seed: int,
    epochs: int,
    as_json: bool,
) -> None:
    """Learn the scorer from pictures the whitening has not seen, set the threshold on others, judge on yet others.

    Needs TensorFlow: pip install neardup[train]."""
    with needing_tensorflow("training"):
        from scorer.keras_network import fit_sight
    judged = read_pairs(pairs) if pairs else []
    weights = Whitening.load(whitening) if whitening else shipped_whitening()
    lsh = LshModel(dimension=weights.lsh_dimension, embedding_version=weights.digest, words=COUNT)
    pictures, raw = _distinct(folders=folders, cache=cache, jobs=jobs, exclude=exclude, at_most=at_most)
    others = _embed(weights, raw, raw[:, None][:, :0])
    parts_of_others = near_copies(others, all_pairs(others, lsh))
    others = others.without(parts_of_others)
    chosen: dict[Side, list[Picture]] = {"scorer": [], "trust": [], "calibration": [], "evaluation": []}
    for row, picture in enumerate(pictures):
        if picture.side in chosen and row not in parts_of_others:
            chosen[picture.side].append(picture)
    for side in ("calibration", "evaluation"):
        del chosen[side][held_out:]
    embedded = {side: _embed(weights, *_features(some, cache, jobs)) for side, some in chosen.items()}
    lesson = _lesson(embedded["scorer"], lsh, seed)
    if judged:
        lesson = lesson.with_judged(*_judged(weights, judged, cache, jobs), lsh)
    with _progress("training the scorer", epochs) as advance:
        sight = fit_sight(lesson, seed=seed, epochs=epochs, advance=lambda _: advance())
    taught = [(copies.score_rows, all_pairs(copies, lsh)) for copies in (embedded["trust"], others)]
    network = with_trust(sight, taught)
    network = with_probabilities(network, embedded["calibration"], others, lsh).sure_of_equals()
    threshold, head_bound = bounds(network, embedded["calibration"], others, lsh)
    counts = {side: len(some) for side, some in chosen.items()}
    obtained = (
        f"whitening {weights.digest}; pictures {counts}; seed {seed}; threshold and head bound from the calibration "
        "pictures and their fixed edits (scorer.evaluation.bounds)"
    )
    record = CalibrationRecord(
        model_version=version, match_threshold=threshold, head_bound=head_bound, obtained=obtained
    )
    figures = report(network, embedded["evaluation"], lsh, threshold=threshold, edits=[edit.name for edit in EDITS])
    models = output or shipped_models()
    with new_version(models, version) as folder:
        save_graphs(network, folder)
        save(record, folder)
        (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    if as_json:
        print_json(figures)
    else:
        click.echo(
            f"model version {version} in {models / str(version)}: "
            f"match threshold {threshold:.4f}, head bound {head_bound:.4f}"
        )
        click.echo(json.dumps(figures, indent=1))


def _distinct(
    *, folders: Sequence[Path], cache: Path, jobs: int, exclude: Path | None, at_most: int
) -> tuple[list[Picture], np.ndarray]:
    """Of at most so many files a folder those that resemble no other, and their features."""
    kept_out = training.find_pictures([exclude or Path(str(files("neardup.demo"))) / "photos"])
    found = [picture for folder in folders for picture in training.find_pictures([folder])[:at_most]]
    if not found:
        raise ConfigError("no images in the given folders")
    with _progress("features of the pictures", len(found) + len(kept_out)) as advance:
        excluded = training.originals_of(kept_out, cache, jobs=jobs, advance=advance)
        raw = training.originals_of(found, cache, jobs=jobs, advance=advance)
    usable = [picture for picture in found if picture.sha256 in raw]
    features = np.stack([raw[picture.sha256] for picture in usable])
    rows = training.distinct(features, kept_out=np.stack([*excluded.values()]) if excluded else features[:0])
    return [usable[row] for row in rows], features[rows]


def _features(pictures: Sequence[Picture], cache: Path, jobs: int) -> tuple[np.ndarray, np.ndarray]:
    with _progress("features of edited copies", len(pictures)) as advance:
        copies = training.copies_of(pictures, cache, jobs=jobs, advance=advance)
    originals = training.originals_of(pictures, cache, jobs=jobs, advance=lambda: None)
    return np.stack([originals[picture.sha256] for picture in pictures]), copies


def _embed(weights: Whitening, originals: np.ndarray, copies: np.ndarray) -> EmbeddedCopies:
    blocks = np.concatenate([originals[:, None], copies], axis=1)
    lsh, score = weights.embed(blocks.reshape(-1, blocks.shape[-1]))
    return EmbeddedCopies(lsh.reshape(*blocks.shape[:2], -1), score.reshape(*blocks.shape[:2], -1))


def _lesson(copies: EmbeddedCopies, lsh: LshModel, seed: int) -> Lesson:
    rows = np.arange(len(copies.owner))
    probes = np.random.default_rng(seed).permutation(rows)[:_SCORER_PROBES]
    pairs = candidate_pairs(copies, lsh, probes=probes, corpus=rows, limit=_SCORER_CANDIDATES)
    return Lesson(copies.score_rows, copies.owner, pairs)


def _judged(
    weights: Whitening, judged: Sequence[JudgedPair], cache: Path, jobs: int
) -> tuple[EmbeddedCopies, np.ndarray]:
    """The pairs of which both pictures can be used."""
    pictures = {file: training.picture_of(file) for pair in judged for file in (pair.a, pair.b)}
    with _progress("features of judged pairs", len(pictures)) as advance:
        raw = training.originals_of(list(pictures.values()), cache, jobs=jobs, advance=advance)
    ends = [(pictures[pair.a].sha256, pictures[pair.b].sha256, pair.same) for pair in judged]
    usable = [(a, b, same) for a, b, same in ends if a in raw and b in raw]
    if not usable:
        raise ConfigError("--pairs: none of these pictures can be decoded and is neither tiny nor flat")
    firsts = np.stack([raw[a] for a, _, _ in usable])
    seconds = np.stack([raw[b] for _, b, _ in usable])
    return _embed(weights, firsts, seconds[:, None]), np.array([same for _, _, same in usable])


@contextmanager
def _progress(title: str, total: int) -> Iterator[training.Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda: progress.advance(task)
