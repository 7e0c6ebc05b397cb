"""What verdicts imply: must-links make groups, cannot-links keep groups apart. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

from neardup.entries import Link
from neardup.types import ImageId

__all__ = ["Verdicts"]


class Verdicts:
    """The verdicts that hold, as a graph over images. Must-link is transitive: images that are connected by it are a
    group, and a cannot-link of one of them is one of all. The groups are small: people made them, link by link."""

    def __init__(self) -> None:
        self._links: dict[Link, dict[ImageId, set[ImageId]]] = {"must-link": {}, "cannot-link": {}}

    def add(self, link: Link, a: ImageId, b: ImageId) -> None:
        """Take a verdict in."""
        self._links[link].setdefault(a, set()).add(b)
        self._links[link].setdefault(b, set()).add(a)

    def remove(self, link: Link, a: ImageId, b: ImageId) -> None:
        """Take a verdict back."""
        for one, other in ((a, b), (b, a)):
            others = self._links[link].get(one, set())
            others.discard(other)
            if not others:
                self._links[link].pop(one, None)

    def forget(self, image_id: ImageId) -> None:
        """Take every verdict about an image back."""
        for link, known in self._links.items():
            for other in list(known.get(image_id, ())):
                self.remove(link, image_id, other)

    def link(self, a: ImageId, b: ImageId) -> Link | None:
        """The verdict about these two images, if there is one."""
        return next((link for link, known in self._links.items() if b in known.get(a, ())), None)

    def linked(self, link: Link) -> Iterable[ImageId]:
        """All images with such a verdict."""
        return self._links[link]

    def partners(self, link: Link, image_id: ImageId) -> Iterable[ImageId]:
        """The images with such a verdict about this one, in order of their ids."""
        return sorted(self._links[link].get(image_id, ()))

    def group(self, image_id: ImageId) -> list[ImageId]:
        """The images that must be with this one, itself first, then the nearest."""
        return list(self._paths(image_id))

    def kept_apart_from(self, image_id: ImageId) -> dict[ImageId, ImageId]:
        """The images that must not be with this one; for each the image whose cannot-link says so, on that side."""
        apart: dict[ImageId, ImageId] = {}
        for member in self.group(image_id):
            for other in self.partners("cannot-link", member):
                for one in self.group(other):
                    apart.setdefault(one, other)
        return apart

    def contradiction(self, link: Link, a: ImageId, b: ImageId) -> str | None:
        """Why this verdict cannot hold beside the others, with the chain named; None when it can."""
        if link == "cannot-link":
            chain = self._chain(a, b)
            return None if chain is None else f"{_words(chain)}, so {a!r} cannot-link {b!r} contradicts"
        others = self._paths(b)
        for one in self.group(a):
            for other in self.partners("cannot-link", one):
                if other in others:
                    chain = [*reversed(self._chain(a, one) or [a]), *(self._chain(b, other) or [b])]
                    return f"{one!r} cannot-link {other!r}, so {_words(chain)} contradicts"
        return None

    def _chain(self, a: ImageId, b: ImageId) -> list[ImageId] | None:
        """The shortest chain of must-links from a to b."""
        before = self._paths(a)
        if b not in before:
            return None
        chain: list[ImageId] = []
        step: ImageId | None = b
        while step is not None:
            chain.append(step)
            step = before[step]
        return chain[::-1]

    def _paths(self, image_id: ImageId) -> dict[ImageId, ImageId | None]:
        """Every image of the group with the one before it on the way from `image_id`, breadth first."""
        before: dict[ImageId, ImageId | None] = {image_id: None}
        queue = deque([image_id])
        while queue:
            one = queue.popleft()
            for other in self.partners("must-link", one):
                if other not in before:
                    before[other] = one
                    queue.append(other)
        return before


def _words(chain: list[ImageId]) -> str:
    return ", ".join(_steps(chain))


def _steps(chain: list[ImageId]) -> Iterator[str]:
    for one, other in pairwise(chain):
        yield f"{one!r} must-link {other!r}"
