"""`neardup recluster`: split one cluster by a stricter threshold."""

import getpass
from collections.abc import Sequence

import click
import numpy as np

from neardup.cli.output import json_option, print_json
from neardup.cli.wiring import Wiring, opened
from neardup.entries import NotMoved, Refused
from neardup.errors import UnknownImageError
from neardup.lsh import overlaps
from neardup.splitting import greedy_groups, split
from neardup.types import ClusterId, ImageId, IndexedImage, Member, PairBatch

__all__ = ["recluster"]

_PAIRS_AT_ONCE = 4_096
_SHOWN = 20
_PATIENCE_SECONDS = 60.0


@click.command()
@click.argument("head")
@click.option("--threshold", type=click.FloatRange(0, 1, min_open=True), help="Score that members must reach.")
@click.option("--dry-run", is_flag=True, help="Show the groups, and change nothing.")
@click.option("--reason", help="Why; it is written beside every entry.")
@click.option("--actor", default=getpass.getuser, help="Who does it; the login name unless given.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def recluster(  # noqa: PLR0917 - one for each option
    head: str, threshold: float | None, dry_run: bool, reason: str | None, actor: str, yes: bool, as_json: bool
) -> None:
    """Split the cluster of HEAD into groups whose members all resemble the head of their group.

    The method, greedy heads: members in the order in which they joined, the cluster's head first; each joins the group
    whose head it scores best against, at or above the threshold, else it is the head of a new group. Pairs that share
    fewer terms than a candidate must do not resemble each other. The first group stays, the others become clusters.
    Without --threshold it is the match threshold.
    """
    from neardup.cli.asking import Asking, Said

    if not dry_run and not reason:
        raise click.UsageError("--reason: say why")
    with opened() as wiring:
        members, images = _members(wiring, ImageId(head))
        groups = _groups(wiring, members, images, threshold)
        if not as_json:
            click.echo(f"{len(members)} members in {len(groups)} groups")
            for group in groups[:_SHOWN]:
                click.echo(f"  {group[0]}: {len(group)}")
        left: list[NotMoved | Refused] = []
        if len(groups) > 1 and not dry_run:
            if not yes:
                click.confirm(f"Make {len(groups) - 1} new clusters?", abort=True)
            placements = wiring.store.placements([image_id for group in groups[1:] for image_id in group])
            orders = Asking(wiring, Said(actor=actor, reason=str(reason), timeout_seconds=_PATIENCE_SECONDS))
            try:
                left = split(groups, {name: placement.seq for name, placement in placements.items()}, orders.ask)
            finally:
                orders.close()
    if as_json:
        print_json({"groups": groups, "dry_run": dry_run, "not_done": [str(one) for one in left]})
    else:
        for one in left:
            click.echo(f"not done: {one}")


def _members(wiring: Wiring, name: ImageId) -> tuple[list[ImageId], dict[ImageId, IndexedImage]]:
    """The members, the head first, and what the index holds of them."""
    placement = wiring.store.placements([name]).get(name)
    cluster_id = ClusterId(name) if placement is None else placement.cluster_id
    info = wiring.store.clusters([cluster_id]).get(cluster_id)
    if info is None:
        raise UnknownImageError(f"HEAD: {name!r} is neither an image nor a cluster of this namespace")
    found: list[Member] = []
    page = wiring.store.members(cluster_id, limit=1_000)
    found += page.members
    while page.after is not None:
        page = wiring.store.members(cluster_id, after=page.after, limit=1_000)
        found += page.members
    ids = [info.head, *(member.image_id for member in found if member.image_id != info.head)]
    return ids, wiring.unlimited_search.images(ids)


def _groups(
    wiring: Wiring, members: Sequence[ImageId], images: dict[ImageId, IndexedImage], threshold: float | None
) -> list[list[ImageId]]:
    known = [image_id for image_id in members if image_id in images]
    codes = np.stack([images[image_id].code for image_id in known])
    embeddings = np.stack([images[image_id].score for image_id in known])
    pairs: list[tuple[int, int, int]] = []
    for row in range(1, len(known)):
        counts = overlaps(codes[row][:, None], codes[:row])
        near = np.flatnonzero(counts >= wiring.settings.search.minimum_overlap)
        pairs += [(row, int(other), int(counts[other])) for other in near]
    scores: dict[tuple[ImageId, ImageId], float] = {}
    version = 0
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        scored = wiring.scorer.score(
            PairBatch(
                probes=embeddings,
                candidates=embeddings[[b for _, b, _ in part]],
                probe_of=np.array([a for a, _, _ in part]),
                overlap=np.array([count for _, _, count in part], dtype=np.int32),
            )
        )
        version = scored.model_version
        for (a, b, _), score in zip(part, scored.values.tolist(), strict=True):
            scores[known[a], known[b]] = score
    if threshold is None:
        threshold = wiring.scorer.calibration(version).match_threshold if pairs else 1.0
    return greedy_groups(known, scores, threshold)
