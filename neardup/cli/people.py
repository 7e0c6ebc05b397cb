"""`neardup force`, `verdict`, `merge`, `split` and the others: what people say about clusters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neardup.cli.asking import Asking, Said, asking_options, confirm, print_answers
from neardup.cli.lookup import file_or_id
from neardup.cli.wiring import opened
from neardup.commands import (
    LARGEST_MOVE,
    CommandBody,
    Erase,
    Force,
    Merge,
    Move,
    Promote,
    Quarantine,
    Unforce,
    Unmerge,
    Verdict,
    Withdraw,
)
from neardup.entries import Entry
from neardup.errors import UnknownImageError
from neardup.types import ImageId

if TYPE_CHECKING:
    from neardup.cli.wiring import Wiring

__all__ = ["erase", "force", "merge", "promote", "quarantine", "split", "unforce", "unmerge", "verdict"]

_LARGE = 100
"""Images whose head changes, or that move, from which on the commands ask first."""


class _Session:
    """One command of a person: names are resolved, asked, answered."""

    def __init__(self, wiring: "Wiring", asking: Asking) -> None:
        self.wiring = wiring
        self._asking = asking

    def id_of(self, name: str) -> ImageId:
        """The image that is meant: an id, or the path of a file that was added."""
        return file_or_id(self.wiring.similar_images, name)

    def size_of(self, name: ImageId) -> int:
        """How many members the cluster has that is meant; 0 when there is none."""
        try:
            return self.wiring.similar_images.cluster(name).size
        except UnknownImageError:
            return 0

    def ask(self, body: CommandBody) -> list[Entry]:
        return self._asking.ask(body)


@contextmanager
def _session(options: dict[str, Any]) -> Iterator[_Session]:
    said = Said(actor=options["actor"] or "", reason=options["reason"], timeout_seconds=options["timeout"])
    with opened() as wiring:
        asking = Asking(wiring, said)
        try:
            yield _Session(wiring, asking)
        finally:
            asking.close()


@click.command()
@click.argument("image")
@click.argument("head")
@asking_options
def force(*, image: str, head: str, **options: Any) -> None:
    """Put IMAGE into the cluster of HEAD, where it stays whatever comes in later. Any member stands for the cluster."""
    with _session(options) as session:
        answer = session.ask(Force(image_id=session.id_of(image), into=session.id_of(head)))
    print_answers([answer], as_json=options["as_json"])


@click.command()
@click.argument("image")
@asking_options
def unforce(*, image: str, **options: Any) -> None:
    """Take a force back: IMAGE stays where it is and is decided like any other from now on."""
    with _session(options) as session:
        answer = session.ask(Unforce(image_id=session.id_of(image)))
    print_answers([answer], as_json=options["as_json"])


@click.command()
@click.argument("link", type=click.Choice(["must-link", "cannot-link"]))
@click.argument("a")
@click.argument("b")
@click.option("--withdraw", is_flag=True, help="Take the verdict back; nobody is moved.")
@asking_options
def verdict(*, link: Any, a: str, b: str, withdraw: bool, **options: Any) -> None:
    """Say that the images A and B belong together, or that they do not.

    must-link: the one in the younger cluster moves; if it is a head with members, its cluster is merged. cannot-link:
    if both are together, the one that was decided later leaves, unless it is the head or was forced.
    """
    with _session(options) as session:
        one, other = session.id_of(a), session.id_of(b)
        body: CommandBody = Withdraw(a=one, b=other) if withdraw else Verdict(link=link, a=one, b=other)
        answer = session.ask(body)
    print_answers([answer], as_json=options["as_json"])


@click.command()
@click.argument("source")
@click.argument("target")
@asking_options
def merge(*, source: str, target: str, **options: Any) -> None:
    """Make the cluster of SOURCE a part of the cluster of TARGET, whose head stays. `neardup unmerge` takes it back."""
    with _session(options) as session:
        one, other = session.id_of(source), session.id_of(target)
        size = session.size_of(one)
        if size > _LARGE:
            confirm(f"merge {size} images into the cluster of {target}?", yes=options["yes"])
        answer = session.ask(Merge(source=one, target=other))
    print_answers([answer], as_json=options["as_json"])


@click.command()
@click.argument("cluster")
@asking_options
def unmerge(*, cluster: str, **options: Any) -> None:
    """Make CLUSTER, which was merged into another one, a cluster of its own again. Who joined since stays there."""
    with _session(options) as session:
        name = session.id_of(cluster)
        root = session.wiring.similar_images.cluster(name).cluster_id
        size = sum(part.size for part in session.wiring.store.segments(root) if str(part.cluster_id) == name)
        if size > _LARGE:
            confirm(f"unmerge {size} images?", yes=options["yes"])
        answer = session.ask(Unmerge(cluster=name))
    print_answers([answer], as_json=options["as_json"])


@click.command()
@click.argument("head")
@click.argument("members", nargs=-1)
@click.option("--members", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file of ids.")
@asking_options
def split(*, head: str, members: Sequence[str], file: Path | None, **options: Any) -> None:
    """Move MEMBERS out of the cluster of HEAD into a new one, whose head is the first of them.

    With --members FILE the ids are read from a file, one a line. An image that was decided again meanwhile stays, and
    is listed; repeating the command goes on.
    """
    names = [*members, *(file.read_text(encoding="utf-8").splitlines() if file else ())]
    names = list(dict.fromkeys(name for name in names if name))
    if not names:
        raise click.UsageError("name the members that are to leave, or a file of them")
    with _session(options) as session:
        ids = [session.id_of(name) for name in names] if len(names) <= _LARGE else [ImageId(name) for name in names]
        cluster = session.wiring.similar_images.cluster(session.id_of(head))
        placements = session.wiring.store.placements(ids)
        inside = [(one, placements[one].seq) for one in ids if _is_in(placements, one, cluster.cluster_id)]
        outside = [one for one in ids if not _is_in(placements, one, cluster.cluster_id)]
        if outside and not inside:
            raise UnknownImageError(f"none of them is in the cluster of {head}: {', '.join(outside[:5])}")
        if len(inside) > _LARGE:
            confirm(f"move {len(inside)} of {cluster.size} images into a new cluster?", yes=options["yes"])
        for one in outside:
            click.echo(f"not in the cluster of {head}: {one}", err=True)
        answers = []
        for start in range(0, len(inside), LARGEST_MOVE):
            images = tuple(inside[start : start + LARGEST_MOVE])
            into = inside[0][0] if start else None
            answers.append(session.ask(Move(images=images, to="cluster" if start else "own", into=into)))
            if len(inside) > LARGEST_MOVE:
                click.echo(f"{min(start + LARGEST_MOVE, len(inside))} of {len(inside)}", err=True)
    print_answers(answers, as_json=options["as_json"])


@click.command()
@click.argument("image")
@asking_options
def promote(*, image: str, **options: Any) -> None:
    """Make IMAGE the head of its cluster. The old head's id goes on to stand for the cluster."""
    with _session(options) as session:
        name = session.id_of(image)
        size = session.size_of(name)
        if size > _LARGE:
            confirm(f"change the head of {size} images to {image}?", yes=options["yes"])
        answer = session.ask(Promote(image_id=name))
    print_answers([answer], as_json=options["as_json"])


@click.command()
@click.argument("head")
@click.option("--lift", is_flag=True, help="The cluster takes new members again.")
@asking_options
def quarantine(*, head: str, lift: bool, **options: Any) -> None:
    """The cluster of HEAD takes no new member by itself; people can still put images into it."""
    with _session(options) as session:
        answer = session.ask(Quarantine(cluster=session.id_of(head), on=not lift))
    print_answers([answer], as_json=options["as_json"])


@click.command()
@click.argument("image")
@asking_options
def erase(*, image: str, **options: Any) -> None:
    """Remove IMAGE for good. It is never decided again; lists what still mentions it, and until when."""
    from neardup.cli.mentions import mentions_of

    with _session(options) as session:
        name = session.id_of(image)
        confirm(f"erase {name} for good? There is no way back", yes=options["yes"])
        answer = session.ask(Erase(image_id=name))
        mentions = mentions_of(session.wiring, name)
    if not options["as_json"]:
        for mention in mentions:
            click.echo(f"  still in {mention.where} {mention.until}")
    listed = [{"where": mention.where, "until": mention.until} for mention in mentions]
    print_answers([answer], as_json=options["as_json"], more={"mentions": listed})


def _is_in(placements: dict[ImageId, Any], image_id: ImageId, cluster_id: str) -> bool:
    return image_id in placements and placements[image_id].cluster_id == cluster_id
