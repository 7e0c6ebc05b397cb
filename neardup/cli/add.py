"""`neardup add`: image files -> embeddings -> Kafka."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from neardup.cli.output import json_option, print_json
from neardup.errors import ConfigError, InvalidImageError, InvalidMessageError
from neardup.ports import Embedder
from neardup.settings import DecodeSettings, load_settings
from neardup.supervisor import SINGLE_THREADED
from neardup.types import Embeddings, ImageId

__all__ = ["add", "embed_files", "find_images", "name_and_value", "read_image"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
_POOL_FROM = 12

_embedder: Embedder | None = None
_limits: DecodeSettings | None = None


def find_images(paths: tuple[Path, ...]) -> list[Path]:
    """The files to add: named files as they are, folders searched for image suffixes. Raises ConfigError when a path
    is missing or a folder has none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
            )
            if not inside:
                raise ConfigError(f"{path}: no images in this folder (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise ConfigError(f"{path}: no such file or folder")
    return list(dict.fromkeys(file.absolute() for file in found))


def read_image(file: Path, limits: DecodeSettings) -> bytes:
    """The bytes of a file. Raises InvalidImageError for one that is too large, before it fills the memory."""
    if file.stat().st_size > limits.file_mb * 2**20:
        raise InvalidImageError(f"the file is larger than {limits.file_mb} MB")
    return file.read_bytes()


def embed_files(files: list[Path], embedder: str) -> Iterator[tuple[Path, Embeddings | str]]:
    """Both embeddings of each file, or the reason why it has none; on all cores when that is worth the start."""
    if len(files) < _POOL_FROM:
        _start(embedder)
        yield from map(_embed, files)
        return
    workers = len(os.sched_getaffinity(0))
    for name, value in SINGLE_THREADED.items():
        os.environ.setdefault(name, value)
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(embedder,)
    ) as pool:
        yield from pool.map(_embed, files, chunksize=4)


def _start(name: str) -> None:
    global _embedder, _limits  # noqa: PLW0603 - one model a process
    from neardup.cli.plugins import load_embedder

    _embedder = load_embedder(name)
    _limits = load_settings().decode


def _embed(file: Path) -> tuple[Path, Embeddings | str]:
    assert _embedder is not None
    assert _limits is not None
    try:
        return file, _embedder.embed(read_image(file, _limits))
    except InvalidImageError as exc:
        return file, str(exc)
    except OSError as exc:
        return file, exc.strerror or str(exc)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--id-root", type=click.Path(path_type=Path), help="Image ids are paths relative to this folder.")
@click.option("--metadata", "pairs", multiple=True, metavar="NAME=VALUE", help="A keyword kept with every image.")
@json_option
def add(paths: tuple[Path, ...], id_root: Path | None, pairs: tuple[str, ...], as_json: bool) -> None:
    """Embed image files and publish both embeddings.

    PATHS are files and folders. The id of an image is its absolute path; its version is the time the file was last
    changed, so adding an unchanged file again changes nothing. Needs running engines; the worker does the rest.
    """
    from indexer.publisher import EmbeddingPublisher
    from neardup.cli.wiring import Wiring

    settings = load_settings()
    metadata = dict(name_and_value(text, "--metadata") for text in pairs)
    files = find_images(paths)
    ids = {file: ImageId(str(_relative(file, id_root))) for file in files}
    wiring = Wiring(settings)
    if wiring.fitted is not None:
        # Before any file is read: does the embedder make what the model was fitted to?
        _ = wiring.embedder
    wiring.ensure_setup()
    publisher = EmbeddingPublisher(wiring.kafka, wiring.topics)
    failed: list[tuple[str, str]] = []
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console, disable=as_json) as progress:
        task = progress.add_task("embedding", total=len(files))
        for file, result in embed_files(files, settings.embedder):
            try:
                if isinstance(result, str):
                    raise InvalidImageError(result)
                version = file.stat().st_mtime_ns // 1_000_000
                publisher.publish(ids[file], result, version=version, metadata=metadata)
            except InvalidMessageError as exc:
                failed.append((str(file), str(exc)))
                progress.console.print(f"{file}: {exc}", style="red", soft_wrap=True, highlight=False)
            progress.advance(task)
    publisher.flush()
    publisher.close()
    published = len(files) - len(failed)
    if as_json:
        print_json({"published": published, "failed": [{"path": path, "reason": reason} for path, reason in failed]})
    else:
        click.echo(f"published {published} images" + (f", {len(failed)} could not be read" if failed else ""))
    if failed:
        raise SystemExit(1)


def _relative(file: Path, root: Path | None) -> Path:
    if root is None:
        return file
    try:
        return file.relative_to(root.absolute())
    except ValueError as exc:
        raise ConfigError(f"--id-root: {file} is not below {root}") from exc


def name_and_value(text: str, option: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE. Raises BadParameter naming the option."""
    name, sign, value = text.partition("=")
    if not sign:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint=option)
    return name, value
