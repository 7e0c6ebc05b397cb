"""The contact sheet: every cluster as pictures, in one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from neardup.embedder.decode import Decode, decode
from neardup.evaluation.figures import Figures
from neardup.evaluation.thumbnails import thumbnail
from neardup.types import ImageId

__all__ = ["Picture", "write_sheet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image of the sheet. `astray`: it is not where most images of its source are."""

    image_id: ImageId
    source: str
    edit: str
    thumbnail: str
    is_head: bool
    astray: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    head: ImageId
    pictures: tuple[Picture, ...]
    mixed: bool


def write_sheet(
    path: Path,
    *,
    images: Sequence[tuple[ImageId, str, str, Path]],
    heads: Mapping[ImageId, ImageId],
    figures: Figures,
    facts: Sequence[tuple[str, str]],
    decode: Decode = decode,
) -> None:
    """Write the sheet. `images`: id, source, edit, file; `facts`: what to print above, name and value; `decode` reads
    the files."""
    home = _majorities(images, heads)
    clusters: dict[ImageId, list[Picture]] = {}
    for image_id, source, edit, file in images:
        head = heads.get(image_id, image_id)
        clusters.setdefault(head, []).append(
            Picture(
                image_id=image_id,
                source=source,
                edit=edit,
                thumbnail=thumbnail(file, decode),
                is_head=image_id == head,
                astray=home[source] != head,
            )
        )
    ordered = [
        _Cluster(
            head=head,
            pictures=tuple(sorted(pictures, key=lambda picture: (not picture.is_head, picture.source, picture.edit))),
            mixed=head in figures.mixed,
        )
        for head, pictures in clusters.items()
    ]
    ordered.sort(key=lambda cluster: (not cluster.mixed, -len(cluster.pictures), cluster.head))
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (files("neardup.demo") / "sheet.html.j2").read_text(encoding="utf-8")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.render(clusters=ordered, figures=figures, facts=facts), encoding="utf-8")


def _majorities(
    images: Sequence[tuple[ImageId, str, str, Path]], heads: Mapping[ImageId, ImageId]
) -> dict[str, ImageId]:
    """For each source the cluster that holds most of its images."""
    counts: dict[str, dict[ImageId, int]] = {}
    for image_id, source, _, _ in images:
        head = heads.get(image_id, image_id)
        of_source = counts.setdefault(source, {})
        of_source[head] = of_source.get(head, 0) + 1
    return {source: max(of_source, key=lambda head: of_source[head]) for source, of_source in counts.items()}
