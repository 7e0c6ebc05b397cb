"""The standing words in the assigner's memory. Pure: fed with changes, it also makes those of new entries."""

from collections.abc import Iterable

from neardup.entries import Entry
from neardup.standing import (
    ErasedImages,
    EraseKey,
    ForcedImage,
    PairVerdict,
    QuarantinedCluster,
    StandingChange,
    StandingWord,
    about,
    changes_of,
)
from neardup.types import ClusterId, ImageId
from neardup.verdicts import Verdicts

__all__ = ["Standing"]


class Standing:
    """What people said and what still holds. `verdicts` is for reading."""

    def __init__(self, changes: Iterable[StandingChange] = ()) -> None:
        self.verdicts = Verdicts()
        self._words: dict[str, StandingWord] = {}
        self._about: dict[ImageId, dict[str, StandingWord]] = {}
        self._forced: set[ImageId] = set()
        self._quarantined: set[ClusterId] = set()
        self._erased = ErasedImages()
        self._erase_key = ""
        for change in changes:
            self._change(change)

    @property
    def words(self) -> dict[str, StandingWord]:
        """The words that hold, by key."""
        return dict(self._words)

    @property
    def has_erase_key(self) -> bool:
        """Whether the key of the namespace has been made."""
        return bool(self._erase_key)

    def take(self, entry: Entry) -> list[StandingChange]:
        """Take a new entry in; returns what it changes."""
        changes = changes_of(
            entry,
            erase_key=self._erase_key,
            words_about=lambda image_id: list(self._about.get(image_id, {}).values()),
        )
        for change in changes:
            self._change(change)
        return changes

    def is_forced(self, image_id: ImageId) -> bool:
        """Whether somebody put this image where it is."""
        return image_id in self._forced

    def is_erased(self, image_id: ImageId) -> bool:
        """Whether this image must never come back."""
        return image_id in self._erased

    def is_quarantined(self, cluster_id: ClusterId) -> bool:
        """Whether this cluster takes no new member by itself."""
        return cluster_id in self._quarantined

    def _change(self, change: StandingChange) -> None:
        self._erased.apply([change])
        old = self._words.pop(change.key, None)
        if old is not None:
            self._end(change.key, old)
        if change.word is not None:
            self._words[change.key] = change.word
            self._begin(change.key, change.word)

    def _begin(self, key: str, word: StandingWord) -> None:
        for image_id in about(word):
            self._about.setdefault(image_id, {})[key] = word
        match word:
            case PairVerdict():
                self.verdicts.add(word.link, word.a, word.b)
            case ForcedImage():
                self._forced.add(word.image_id)
            case QuarantinedCluster():
                self._quarantined.add(word.cluster_id)
            case EraseKey():
                self._erase_key = word.key
            case _:
                pass

    def _end(self, key: str, word: StandingWord) -> None:
        for image_id in about(word):
            words = self._about[image_id]
            del words[key]
            if not words:
                del self._about[image_id]
        match word:
            case PairVerdict():
                self.verdicts.remove(word.link, word.a, word.b)
            case ForcedImage():
                self._forced.discard(word.image_id)
            case QuarantinedCluster():
                self._quarantined.discard(word.cluster_id)
            case _:
                pass
