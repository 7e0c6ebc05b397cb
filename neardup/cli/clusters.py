"""`neardup clusters export | suspicious`: clusters as a whole."""

import csv
import json
import sys
from pathlib import Path

import click

from neardup.cli.lookup import cluster_json, file_or_id
from neardup.cli.output import json_option, print_json, print_table
from neardup.cli.wiring import opened

__all__ = ["clusters"]


@click.group()
def clusters() -> None:
    """Clusters as a whole."""


@clusters.command()
@click.argument("heads", metavar="[HEAD]...", nargs=-1)
@json_option
def suspicious(heads: tuple[str, ...], as_json: bool) -> None:
    """Clusters that grow fast, or whose members do not resemble one another.

    Looks at those that grew most within the window of NEARDUP_ALARM__GROWTH_HOURS, or at the clusters of these HEADs,
    whatever there is to say of them. Exit code 1 when one is suspicious.
    """
    with opened() as wiring:
        looking, similar = wiring.suspicious_clusters, wiring.similar_images
        named = [similar.cluster(file_or_id(similar, head)) for head in heads]
        found = [looking.look(info) for info in named] if named else looking.find()
    if as_json:
        print_json(
            [
                cluster_json(one.cluster)
                | {
                    "joined": one.joined,
                    "sampled": one.sampled,
                    "score": one.score,
                    "score_bound": one.score_bound,
                    "why": list(one.why),
                }
                for one in found
            ]
        )
    elif found:
        print_table(
            ("head", "members", "joined", "sampled", "score", "bound", "suspicious"),
            [
                (
                    one.cluster.head,
                    one.cluster.size,
                    one.joined,
                    one.sampled,
                    "" if one.score is None else f"{one.score:.4f}",
                    f"{one.score_bound:.4f}",
                    ", ".join(one.why) or "no",
                )
                for one in found
            ],
        )
    else:
        click.echo("no suspicious cluster")
    if any(one.why for one in found):
        sys.exit(1)


@clusters.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; default: standard output.")
@json_option
def export(output: Path | None, as_json: bool) -> None:
    """Every image with its head, as CSV (image_id,head), or as JSON lines."""
    with opened() as wiring, click.open_file(str(output) if output else "-", "w", encoding="utf-8") as stream:
        rows = wiring.store.placements_all()
        if as_json:
            for row in rows:
                stream.write(json.dumps({"image_id": row.image_id, "head": row.head}, ensure_ascii=False) + "\n")
        else:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("image_id", "head"))
            writer.writerows((row.image_id, row.head) for row in rows)
