"""Standing words: what people said and what still holds. Frozen values, no I/O.

They are the ledger folded to what deciding must obey, of human scale, and kept in a compacted topic of their own that
is written in the transactions of the ledger; so nobody reads the whole ledger to know them.
"""

import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from neardup.entries import (
    ClusterQuarantined,
    Decision,
    Entry,
    ImageErased,
    Link,
    Unforced,
    VerdictGiven,
    VerdictWithdrawn,
)
from neardup.types import ClusterId, ImageId

__all__ = [
    "EraseKey",
    "ErasedDigest",
    "ErasedImages",
    "ForcedImage",
    "PairVerdict",
    "QuarantinedCluster",
    "StandingChange",
    "StandingWord",
    "about",
    "changes_of",
    "digest_of",
    "fold",
    "key_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairVerdict:
    """Two images that belong together, or do not; `a` < `b`."""

    kind: Literal["verdict"] = "verdict"
    link: Link
    a: ImageId
    b: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedImage:
    """An image that somebody put where it is."""

    kind: Literal["forced"] = "forced"
    image_id: ImageId


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedCluster:
    """A cluster that takes no new member by itself."""

    kind: Literal["quarantined"] = "quarantined"
    cluster_id: ClusterId


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedDigest:
    """An image that must never come back: HMAC-SHA256 of its id under the namespace's erase key, 64 hex digits."""

    kind: Literal["erased"] = "erased"
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseKey:
    """The key of the digests, 64 hex digits: random, made once for a namespace by its first assigner."""

    kind: Literal["erase-key"] = "erase-key"
    key: str


StandingWord = PairVerdict | ForcedImage | QuarantinedCluster | ErasedDigest | EraseKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingChange:
    """A word that holds from now on under its key; None: what was said under this key no longer holds."""

    key: str
    word: StandingWord | None


def key_of(word: StandingWord) -> str:
    """The key under which a word is kept: its kind and the ids it is about, as a JSON array."""
    parts: list[str] = []
    match word:
        case PairVerdict():
            parts = [word.a, word.b]
        case ForcedImage():
            parts = [word.image_id]
        case QuarantinedCluster():
            parts = [word.cluster_id]
        case ErasedDigest():
            parts = [word.digest]
        case EraseKey():
            pass
    return json.dumps([word.kind, *parts], ensure_ascii=False, separators=(",", ":"))


def digest_of(image_id: ImageId, erase_key: str) -> str:
    """The keyed digest of an image id."""
    return hmac.digest(bytes.fromhex(erase_key), image_id.encode(), "sha256").hex()


def changes_of(
    entry: Entry, *, erase_key: str, words_about: Callable[[ImageId], Iterable[StandingWord]]
) -> list[StandingChange]:
    """What an entry changes. `words_about`: the words that name an image, which erasing it ends."""
    holds: StandingWord | None = None
    over: list[StandingWord] = []
    match entry:
        case VerdictGiven():
            holds = _pair(entry)
        case VerdictWithdrawn():
            over = [_pair(entry)]
        case Decision() if entry.rule == "forced" and entry.command_id is not None:
            holds = ForcedImage(image_id=entry.image_id)
        case Unforced():
            over = [ForcedImage(image_id=entry.image_id)]
        case ClusterQuarantined() if entry.on:
            holds = QuarantinedCluster(cluster_id=entry.cluster_id)
        case ClusterQuarantined():
            over = [QuarantinedCluster(cluster_id=entry.cluster_id)]
        case ImageErased():
            holds = ErasedDigest(digest=digest_of(entry.image_id, erase_key))
            over = list(words_about(entry.image_id))
            if entry.cluster_id is not None and entry.head is None:
                over.append(QuarantinedCluster(cluster_id=entry.cluster_id))
        case _:
            pass
    ended = [StandingChange(key=key_of(word), word=None) for word in over]
    return ended if holds is None else [*ended, StandingChange(key=key_of(holds), word=holds)]


def fold(entries: Iterable[Entry], *, erase_key: str) -> dict[str, StandingWord]:
    """The words that hold after these entries, by key: the reference that the topic must equal."""
    words: dict[str, StandingWord] = {}
    for entry in entries:

        def words_about(
            image_id: ImageId, known: tuple[StandingWord, ...] = tuple(words.values())
        ) -> list[StandingWord]:
            return [word for word in known if image_id in about(word)]

        changes = changes_of(entry, erase_key=erase_key, words_about=words_about)
        for change in changes:
            if change.word is None:
                words.pop(change.key, None)
            else:
                words[change.key] = change.word
    return words


def about(word: StandingWord) -> tuple[ImageId, ...]:
    """The images that a word names."""
    match word:
        case PairVerdict():
            return word.a, word.b
        case ForcedImage():
            return (word.image_id,)
        case _:
            return ()


class ErasedImages:
    """Which images were erased. Fed with changes in their order; those of other words are passed over."""

    def __init__(self) -> None:
        self._key = ""
        self._digests: set[str] = set()

    def apply(self, changes: Iterable[StandingChange]) -> None:
        """Take changes in."""
        for change in changes:
            match change.word:
                case ErasedDigest():
                    self._digests.add(change.word.digest)
                case EraseKey():
                    self._key = change.word.key
                case _:
                    pass

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __contains__(self, image_id: ImageId) -> bool:
        return bool(self._digests) and digest_of(image_id, self._key) in self._digests


def _pair(entry: VerdictGiven | VerdictWithdrawn) -> PairVerdict:
    a, b = sorted((entry.a, entry.b))
    return PairVerdict(link=entry.link, a=a, b=b)
