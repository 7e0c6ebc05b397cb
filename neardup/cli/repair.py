"""Mends what does not agree with the ledger: graph, index, cache and change feed are written from it again.

Nothing here overwrites what is newer: the graph is written only at the very position that was folded, documents of the
index carry their seq, an entry of the cache is only forgotten, and the feed's consumers keep the highest revision.
"""

import time
from collections.abc import Callable, Sequence

from neardup.agreement import Disagreement
from neardup.cli.contents import contents_of
from neardup.cli.verification import Verification, subjects
from neardup.cli.wiring import Wiring
from neardup.entries import ClusterMerged, ClusterUnmerged, Decision, HeadChanged, ImageErased
from neardup.errors import ClusterStoreUnavailableError
from neardup.types import ClusterId, ImageId, IndexedImage, Position

__all__ = ["Repair"]

_IMAGES_AT_ONCE = 200
_ATTEMPTS = 300
_LONGEST_PAUSE_SECONDS = 0.05
_FEED_ROUNDS = 10


class Repair:
    """Mends one namespace while workers run. Safe to interrupt and to repeat. All methods raise UnavailableError."""

    def __init__(self, wiring: Wiring, verification: Verification, *, say: Callable[[str], None]) -> None:
        self._wiring = wiring
        self._verification = verification
        self._fold = verification.fold
        self._say = say

    def mend(self, found: Sequence[Disagreement]) -> None:
        """Write the subjects of these disagreements again, wherever they are wrong."""
        for place, write in (
            ("graph", self._graph),
            ("index", self._index),
            ("cache", self._cache),
            ("feed", self._feed),
        ):
            images, clusters = subjects(found, place)  # type: ignore[arg-type]
            if images or clusters:
                self._say(f"mending the {place}: {len(images)} images, {len(clusters)} clusters")
                write(images, clusters)

    def _graph(self, images: Sequence[ImageId], clusters: Sequence[ClusterId]) -> None:
        from graph.mending import GraphMender, clusters_around

        mender = GraphMender(self._wiring.gremlin, self._wiring.graph_names)
        parts = [images[at : at + _IMAGES_AT_ONCE] for at in range(0, len(images), _IMAGES_AT_ONCE)] or [[]]
        for number, part in enumerate(parts):
            # Clusters without images go first: a segment must be there before its members.
            named = clusters if number == 0 else []
            for attempt in range(_ATTEMPTS):
                self._verification.fold_to("graph")
                state = self._fold.state
                if mender.mend(state, part, clusters_around(state, part, named)):
                    break
                # The projector was quicker: it applies a batch and then reads the ledger, that is the moment.
                time.sleep(_LONGEST_PAUSE_SECONDS * (attempt % 5) / 5)
            else:
                raise ClusterStoreUnavailableError(
                    f"the graph moved on {_ATTEMPTS} times before it could be mended; repeat when less comes in"
                )

    def _index(self, images: Sequence[ImageId], _: Sequence[ClusterId]) -> None:
        wiring = self._wiring
        self._verification.fold_to("index")
        upto = wiring.index.position()
        state = self._fold.state
        placements = {i: placed for i in images if (placed := state.placement(i)) is not None}
        found: dict[ImageId, IndexedImage] = {}
        for image_id, (code, score, metadata) in contents_of(
            wiring, self._verification.proposals, self._fold, list(placements)
        ):
            placed = placements[image_id]
            found[image_id] = IndexedImage(
                image_id=image_id,
                version=placed.version,
                seq=placed.seq,
                code=code,
                score=score,
                metadata=metadata,
                searchable=placed.indexed,
            )
        wiring.index.apply(list(found.values()), [i for i in images if i not in placements], upto=upto)

    def _cache(self, images: Sequence[ImageId], _: Sequence[ClusterId]) -> None:
        placements = [placed for i in images if (placed := self._fold.state.placement(i)) is not None]
        clusters = {name for placed in placements for name in (placed.segment, placed.cluster_id)}
        self._wiring.cache.forget(images, clusters)
        # What is forgotten is read from the graph and remembered again.
        self._wiring.heads.placements([placed.image_id for placed in placements])

    def _feed(self, images: Sequence[ImageId], _: Sequence[ClusterId]) -> None:
        """Publish the newest messages again. The topic keeps what was written last, so once more if the projector wrote
        newer ones meanwhile."""
        wanted = set(images)
        for _round in range(_FEED_ROUNDS):
            self._verification.fold_to("feed")
            self._verification.republish(wanted)
            newer = [entry for _, entry in self._fold.ahead()]
            named = {entry.image_id for entry in newer if isinstance(entry, Decision | ImageErased)}
            clusters = any(isinstance(entry, HeadChanged | ClusterMerged | ClusterUnmerged) for entry in newer)
            if not (named & wanted or clusters):
                return

    @property
    def position(self) -> Position:
        """Up to where the ledger was folded."""
        return self._fold.position
