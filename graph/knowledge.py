"""What the assigner knows: the images decided recently, and where all others are.

Search covers the decisions up to a proposal's `searched_seq`; `RecentImages` covers every one after it, so images that
arrive together meet whatever the index shows. Where older images are is read from the graph, under the decisions that
the graph has not applied yet. Ports only.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from graph.recent import RecentPlacements, Remembered
from graph.restore import Past
from graph.world import NUMBER_SIGN, free_cluster_id
from neardup.entries import Decision
from neardup.errors import ClusterStoreUnavailableError, SearchUnavailableError
from neardup.ports import CandidateSearch, Clock, ClusterStore
from neardup.types import ClusterId, ClusterInfo, ImageId, Placement

__all__ = ["Knowledge"]

_LOOK_EVERY_SECONDS: Final = 0.02
_LOOKS: Final = 75


class Knowledge:
    """Built on a graph that has applied the ledger up to the end of `past`. `seq`: of the last entry; `recent`: the
    memory, for reading."""

    def __init__(self, store: ClusterStore, search: CandidateSearch, past: Past, clock: Clock) -> None:
        self.seq = past.last.seq
        self.recent = past.recent
        self._store = store
        self._search = search
        self._clock = clock
        self._placed = RecentPlacements()
        # What the graph must show: it was relied on up to here. A graph that goes back is being made again.
        self._shown = past.last.seq
        self._placements: Mapping[ImageId, Placement] = {}
        self._clusters: Mapping[ClusterId, ClusterInfo] = {}

    def require_within(self, window: int) -> None:
        """Raises ClusterStoreUnavailableError while the graph is further behind than `window` entries."""
        if self.seq - self._shown > window:
            self._shown = self._await_graph(self._shown)
        if self.seq - self._shown > window:
            raise ClusterStoreUnavailableError(
                f"the graph is {self.seq - self._shown} decisions behind the ledger; deciding waits for it"
            )

    def await_all(self) -> None:
        """Return when the graph shows every entry. Raises ClusterStoreUnavailableError when that takes long."""
        self._await_graph(self.seq)

    def read(self, image_ids: Iterable[ImageId], probes: Iterable[ImageId]) -> None:
        """Read where these images are, the clusters that hold them, and those of the probes' own names: what
        `placement` and `cluster` are asked for next. One request, unless a probe was decided before."""
        # By what the graph must show, for what is forgotten must be read.
        self._placed.forget(self._shown)
        unknown = [image_id for image_id in image_ids if self._placed.placement(image_id) is None]
        while (found := self._store.whereabouts(unknown)).position.seq < self._shown:
            self._await_graph(self._shown)
        self._shown = found.position.seq
        self._placements, self._clusters = found.placements, found.clusters
        # A cluster of an image's own name is there only if the image was decided before, or has such a name as
        # `free_cluster_id` gives. Most images are new, and to read what is not there costs the graph as much.
        own = [ClusterId(i) for i in probes if NUMBER_SIGN in i or self.placement(i) is not None]
        if missing := [one for one in own if self.cluster(one) is None]:
            self._clusters = {**found.clusters, **self._store.clusters(missing)}

    def placement(self, image_id: ImageId) -> Placement | None:
        """Where an image is, of those that were read."""
        return self._placed.placement(image_id) or self._placements.get(image_id)

    def cluster(self, cluster_id: ClusterId) -> ClusterInfo | None:
        """A cluster, of those that were read."""
        return self._placed.cluster(cluster_id) or self._clusters.get(cluster_id)

    def own_cluster(self, image_id: ImageId, current: ClusterInfo | None) -> ClusterId:
        """The cluster that an image is the head of when it is by itself: the one it is alone in, else a new one."""
        if current is not None and current.size == 1:
            return current.cluster_id
        taken = self.cluster(ClusterId(image_id))
        if taken is None or taken.size == 0:
            return ClusterId(image_id)
        return free_cluster_id(self._store, image_id, self.seq + 1)

    def codes_of(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Remembered]:
        """Codes and embeddings: from the memory, else from the index. Raises SearchUnavailableError."""
        known = {image_id: found for image_id in image_ids if (found := self.recent.get(image_id)) is not None}
        unknown = [image_id for image_id in image_ids if image_id not in known]
        stored = self._search.images(unknown) if unknown else {}
        for image_id in unknown:
            if image_id not in stored:
                raise SearchUnavailableError(f"the index does not hold the image {image_id!r} yet")
            image = stored[image_id]
            known[image_id] = Remembered(image_id=image_id, code=image.code, score=image.score)
        return known

    def remember(self, decision: Decision, image: Remembered, was: Placement | None) -> None:
        """A decision about an image that was at `was`, before the graph shows it."""
        touched = [one for one in (decision.cluster_id, decision.previous_cluster) if one is not None]
        before = [cluster for one in dict.fromkeys(touched) if (cluster := self.cluster(one)) is not None]
        self._placed.add(decision, was=was, before=before)
        self.remember_image(decision, image)
        self.seq = decision.seq

    def remember_image(self, decision: Decision, image: Remembered) -> None:
        """The image of a decision, which the index may not show yet."""
        self.recent.add(
            decision.image_id, seq=decision.seq, code=image.code, score=image.score, searchable=decision.indexed
        )

    def advance(self, seq: int, *, shown: bool) -> None:
        """A command was answered up to this seq, on a graph that showed every entry before it; `shown`: it must show
        this before anything else is decided."""
        self._placed.forget(self.seq)
        self.seq = seq
        self.recent.advance(seq)
        if shown:
            self._shown = seq

    def _await_graph(self, seq: int) -> int:
        """The seq that the graph has applied, once it is at least this. Raises ClusterStoreUnavailableError when that
        takes long: what a person said is about to be applied, and what comes next depends on it."""
        for _ in range(_LOOKS):
            applied = self._store.position().seq
            if applied >= seq:
                return applied
            self._clock.sleep(_LOOK_EVERY_SECONDS)
        raise ClusterStoreUnavailableError(f"the graph has applied seq {applied}; a command waits for {seq}")
