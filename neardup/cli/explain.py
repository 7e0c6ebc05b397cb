"""`neardup explain`."""

from pathlib import Path

import click

from neardup.cli.add import read_image
from neardup.cli.lookup import file_or_id
from neardup.cli.output import json_option, print_json
from neardup.cli.wiring import opened
from neardup.types import ImageId

__all__ = ["explain"]


@click.command()
@click.argument("image_or_id")
@click.argument("other_id")
@json_option
def explain(image_or_id: str, other_id: str, as_json: bool) -> None:
    """Why OTHER_ID is a candidate of an image, or why it is not: shared terms, rank, what cut it, score.

    IMAGE_OR_ID is an image file, which need not be in the corpus, or the id of an image that is.
    """
    file = Path(image_or_id)
    with opened() as wiring:
        similar = wiring.similar_images
        other = file_or_id(similar, other_id)
        if file.is_file():
            found = similar.explain_file(read_image(file, wiring.settings.decode), other, name=image_or_id)
        else:
            found = similar.explain_id(ImageId(image_or_id), other)
    if not as_json:
        click.echo(found.sentence)
        return
    print_json(
        {
            "probe": found.probe,
            "image_id": found.image_id,
            "sentence": found.sentence,
            "shared_terms": list(found.shared_terms),
            "overlap": found.overlap,
            "terms": found.terms,
            "rank": found.rank,
            "cut_by": found.cut,
            "candidate_limit": found.candidate_limit,
            "minimum_overlap": found.minimum_overlap,
            "cutoff_overlap": found.cutoff_overlap,
            "score": found.score,
            "match_threshold": found.match_threshold,
            "witness_bound": found.witness_bound,
            "near_duplicate": found.near_duplicate,
            "model_version": found.model_version,
        }
    )
