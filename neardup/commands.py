"""What people tell the assigner, and producers who delete images: commands, in the one order with the proposals.

Frozen values, no I/O.

Images and clusters are named by image ids; the id of a cluster will do as well. What they mean is decided when the
command is, in the order of the log.
"""

from dataclasses import dataclass
from typing import Final, Literal

from neardup.entries import Link
from neardup.types import ImageId, Proposal

__all__ = [
    "LARGEST_MOVE",
    "Command",
    "CommandBody",
    "Erase",
    "Force",
    "Merge",
    "Move",
    "Promote",
    "Quarantine",
    "Request",
    "Unforce",
    "Unmerge",
    "Verdict",
    "Withdraw",
    "in_words",
    "named_by",
]

LARGEST_MOVE: Final = 1000
"""Images that one command can move: all its entries are one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """Put an image into the cluster of another one, where it stays whatever comes in later."""

    kind: Literal["force"] = "force"
    image_id: ImageId
    into: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Unforce:
    """Take a `Force` back: the image stays, and is decided like any other from now on."""

    kind: Literal["unforce"] = "unforce"
    image_id: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Two images belong together, or do not."""

    kind: Literal["verdict"] = "verdict"
    link: Link
    a: ImageId
    b: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Take the verdict about two images back."""

    kind: Literal["withdraw"] = "withdraw"
    a: ImageId
    b: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Make the cluster of `source` a part of the cluster of `target`."""

    kind: Literal["merge"] = "merge"
    source: ImageId
    target: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmerge:
    """Make a part that was merged a cluster of its own again, by its id or by an image that is in it."""

    kind: Literal["unmerge"] = "unmerge"
    cluster: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Make an image the head of its cluster."""

    kind: Literal["promote"] = "promote"
    image_id: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Move images, each only if the seq of its decision is still the one given.

    `to`: `cluster`, into the one of `into`, whose head is `head` then, if it is given and in it; `own`, together into a
    new one whose head is the first; `each`, every one into a new one of its own. `rule`: that of the decisions.
    """

    kind: Literal["move"] = "move"
    images: tuple[tuple[ImageId, int], ...]
    to: Literal["cluster", "own", "each"]
    into: ImageId | None = None
    head: ImageId | None = None
    rule: Literal["moved", "rolled-back"] = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Remove an image for good; it is never decided again."""

    kind: Literal["erase"] = "erase"
    image_id: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """The cluster takes no new member by itself (`on`), or does again."""

    kind: Literal["quarantine"] = "quarantine"
    cluster: ImageId
    on: bool


CommandBody = Force | Unforce | Verdict | Withdraw | Merge | Unmerge | Promote | Move | Erase | Quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command with who gave it, when and why. `command_id` is a UUID: delivered again it has no second effect."""

    command_id: str
    actor: str
    reason: str | None
    at_ms: int
    body: CommandBody


Request = Proposal | Command
"""What the assigner answers, in one order."""


def named_by(body: CommandBody) -> tuple[ImageId, ...]:
    """The ids that a command names."""
    match body:
        case Force():
            return body.image_id, body.into
        case Unforce() | Promote() | Erase():
            return (body.image_id,)
        case Verdict() | Withdraw():
            return body.a, body.b
        case Merge():
            return body.source, body.target
        case Unmerge() | Quarantine():
            return (body.cluster,)
        case Move():
            images = tuple(image_id for image_id, _ in body.images)
            return (*images, *(name for name in (body.into, body.head) if name is not None))


def in_words(body: CommandBody) -> str:
    """A command in words, such as: force 'a' into the cluster of 'b'."""
    match body:
        case Force():
            words = f"force {body.image_id!r} into the cluster of {body.into!r}"
        case Unforce() | Promote() | Erase():
            words = f"{body.kind} {body.image_id!r}"
        case Verdict():
            words = f"{body.a!r} {body.link} {body.b!r}"
        case Withdraw():
            words = f"withdraw the verdict about {body.a!r} and {body.b!r}"
        case Merge():
            words = f"merge the cluster of {body.source!r} into that of {body.target!r}"
        case Unmerge():
            words = f"unmerge {body.cluster!r}"
        case Quarantine():
            words = f"{'quarantine' if body.on else 'lift the quarantine of'} the cluster of {body.cluster!r}"
        case Move():
            places = {"cluster": f"into the cluster of {body.into!r}", "own": "into a new cluster"}
            words = f"move {len(body.images)} images {places.get(body.to, 'each into a new cluster of its own')}"
    return words
