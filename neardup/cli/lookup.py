"""`neardup query`, `head`, `members`: what people and systems ask."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neardup.cli.add import name_and_value, read_image
from neardup.cli.as_of import as_of_option, past_images
from neardup.cli.output import json_option, print_json, print_table
from neardup.cli.wiring import opened
from neardup.clock import SystemClock
from neardup.errors import InvalidImageError, RateLimitedError
from neardup.times import epoch_ms
from neardup.types import ClusterInfo, ImageId, MemberOrder, Page, PastCluster, SearchFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from query.similar_images import Lookup, SimilarImages

__all__ = ["cluster_json", "file_or_id", "head", "members", "query"]

_LONGEST_WAIT_SECONDS = 6.0

_limit = click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Largest page.")
_after = click.option("--after", metavar="CURSOR", help="Cursor that the page before ended with.")


@click.command()
@click.argument("image_or_id")
@click.option("--limit", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Members and candidates.")
@click.option(
    "--where", "pairs", multiple=True, metavar="NAME=VALUE", help="Only images with this metadata; repeatable."
)
@click.option("--created-from", metavar="TIME", help="Only images with metadata created_at from this time on.")
@click.option("--created-before", metavar="TIME", help="Only images with metadata created_at before this time.")
@json_option
def query(
    *,
    image_or_id: str,
    limit: int,
    pairs: tuple[str, ...],
    created_from: str | None,
    created_before: str | None,
    as_json: bool,
) -> None:
    """Was this image, or a slight variation of it, seen before? Which images are similar?

    IMAGE_OR_ID is an image file, which need not be in the corpus, or the id of an image that is. TIME is like
    2026-01-31T12:00:00Z. Values of the same name are alternatives; different names must all fit.
    """
    where = _filter(pairs, created_from, created_before)
    file = Path(image_or_id)
    with opened() as wiring:
        similar = wiring.similar_images
        try:
            if file.is_file():
                data = read_image(file, wiring.settings.decode)
                image_id = file_or_id(similar, image_or_id)
                found = _patiently(lambda: similar.lookup_file(data, image_id=image_id, where=where))
            else:
                found = _patiently(lambda: similar.lookup_id(ImageId(image_or_id), where=where))
        except InvalidImageError as exc:
            raise InvalidImageError(f"{file}: {exc}") from exc
        except RateLimitedError as exc:
            if as_json:
                print_json({"error": str(exc), "retry_after_seconds": round(exc.retry_after_seconds, 3)})
            raise
        page = similar.members(found.cluster.cluster_id, limit=limit) if found.cluster else None
    if as_json:
        print_json(_lookup_json(found, page, limit))
    else:
        _print_lookup(found, page, limit)


@click.command()
@click.argument("image_id")
@as_of_option
@json_option
def head(image_id: str, as_of: str | None, as_json: bool) -> None:
    """The head of the cluster that holds IMAGE_ID (an id, or the path of a file that was added)."""
    with opened() as wiring:
        similar = wiring.similar_images
        asked = file_or_id(similar, image_id)
        placement = similar.placement(asked) if as_of is None else past_images(wiring, as_of).placement(asked)
    if placement is None:
        if as_json:
            print_json({"image_id": image_id, "head": None})
        else:
            click.echo(f"{image_id}: not an image of this namespace", err=True)
        sys.exit(1)
    if as_json:
        print_json(
            {
                "image_id": placement.image_id,
                "head": placement.head,
                "cluster_id": placement.cluster_id,
                "version": placement.version,
                "seq": placement.seq,
            }
        )
    else:
        click.echo(placement.head)


@click.command()
@click.argument("head_id", metavar="HEAD")
@_limit
@_after
@click.option("--newest", is_flag=True, help="The latest first.")
@as_of_option
@json_option
def members(*, head_id: str, limit: int, after: str | None, newest: bool, as_of: str | None, as_json: bool) -> None:
    """The members of the cluster of HEAD (any member's id will do), in the order they joined."""
    with opened() as wiring:
        similar = wiring.similar_images
        asked = file_or_id(similar, head_id)
        clusters_then = similar if as_of is None else past_images(wiring, as_of)
        cluster = clusters_then.cluster(asked)
        order: MemberOrder = "newest" if newest else "oldest"
        page = clusters_then.members(cluster.cluster_id, after=after, limit=limit, order=order)
    if as_json:
        print_json(cluster_json(cluster) | _page_json(page))
        return
    for member in page.members:
        click.echo(member.image_id)
    if page.after is not None:
        options = (
            f"{' --newest' if newest else ''}{f' --as-of {cluster.seq}' if isinstance(cluster, PastCluster) else ''}"
        )
        click.echo(f"more: neardup members {head_id} --limit {limit}{options} --after {page.after}", err=True)


def _filter(pairs: tuple[str, ...], created_from: str | None, created_before: str | None) -> SearchFilter | None:
    """What the options ask candidates to be; None when they ask nothing."""
    equal: dict[str, tuple[str, ...]] = {}
    for text in pairs:
        name, value = name_and_value(text, "--where")
        equal[name] = (*equal.get(name, ()), value)
    if not (equal or created_from or created_before):
        return None
    return SearchFilter(
        equal=equal,
        created_from_ms=_moment(created_from, "--created-from"),
        created_before_ms=_moment(created_before, "--created-before"),
    )


def _moment(text: str | None, option: str) -> int | None:
    try:
        return None if text is None else epoch_ms(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint=option) from exc


def _patiently(question: "Callable[[], Lookup]") -> "Lookup":
    """The answer. When the search limit is reached it asks a second time at the moment that the limit names, if that is
    soon: a command has nobody else who would. Raises RateLimitedError."""
    try:
        return question()
    except RateLimitedError as exc:
        if exc.retry_after_seconds > _LONGEST_WAIT_SECONDS:
            raise
        SystemClock().sleep(exc.retry_after_seconds)
        return question()


def file_or_id(similar: "SimilarImages", text: str) -> ImageId:
    """The id somebody means: as given, or the absolute path under which `neardup add` knows that file."""
    file = Path(text)
    if file.is_file() and similar.placement(ImageId(text)) is None:
        return ImageId(str(file.absolute()))
    return ImageId(text)


def cluster_json(cluster: ClusterInfo | PastCluster) -> dict[str, Any]:
    """A cluster, now or as it was, as JSON."""
    if isinstance(cluster, PastCluster):
        return {"cluster_id": cluster.cluster_id, "head": cluster.head, "size": cluster.size, "as_of_seq": cluster.seq}
    return {
        "cluster_id": cluster.cluster_id,
        "head": cluster.head,
        "size": cluster.size,
        "exemplars": cluster.exemplars,
    }


def _page_json(page: Page) -> dict[str, Any]:
    return {
        "members": [{"image_id": member.image_id, "seq": member.seq} for member in page.members],
        "after": page.after,
    }


def _lookup_json(found: "Lookup", page: Page | None, limit: int) -> dict[str, Any]:
    return {
        "seen": found.seen,
        "in_corpus": found.placement is not None,
        "head": found.cluster.head if found.cluster else None,
        "match": None
        if found.match is None
        else {"image_id": found.match.image_id, "score": found.match.score, "overlap": found.match.overlap},
        "cluster": None if found.cluster is None or page is None else cluster_json(found.cluster) | _page_json(page),
        "candidates": [
            {"image_id": match.image_id, "score": match.score, "overlap": match.overlap}
            for match in found.candidates[:limit]
        ],
        "match_threshold": found.match_threshold,
        "witness_bound": found.witness_bound,
        "model_version": found.model_version,
        "cutoff_overlap": found.cutoff_overlap,
        "ties_at_cutoff": found.ties_at_cutoff,
        "searched_documents": found.searched_documents,
    }


def _says(score: float, found: "Lookup") -> str:
    if score >= found.match_threshold:
        return "yes"
    return "with others" if score >= found.witness_bound else "no"


def _print_lookup(found: "Lookup", page: Page | None, limit: int) -> None:
    if not found.seen:
        click.echo(f"not seen before (searched {found.searched_documents} images)")
    elif found.cluster is None or page is None:
        click.echo("seen before, just now: its cluster is not readable yet, ask again")
    else:
        how = "this very image is in the corpus"
        if found.placement is None and found.match is not None:
            how = f"score {found.match.score:.4f} with {found.match.image_id}, {found.match.overlap} shared terms"
            if found.match.score < found.match_threshold:
                how += ", together with others of its cluster"
        click.echo(f"seen before: {how}")
        click.echo(f"head: {found.cluster.head}")
        indexed = found.cluster.exemplars
        searched = f", {indexed} of them in searches" if indexed < found.cluster.size else ""
        click.echo(f"members: {found.cluster.size}{searched}")
        for member in page.members:
            click.echo(f"  {member.image_id}")
        if page.after is not None:
            click.echo(f"  … more: neardup members {found.cluster.head} --after {page.after}")
    if found.candidates:
        click.echo("")
        print_table(
            ("candidate", "overlap", "score", "near-duplicate"),
            [
                (match.image_id, match.overlap, match.score, _says(match.score, found))
                for match in found.candidates[:limit]
            ],
        )
