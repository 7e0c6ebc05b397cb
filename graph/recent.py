"""What the assigner remembers: the images decided recently, and its decisions that the graph may not show yet. Pure."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neardup.clusters import placement_of
from neardup.entries import Decision
from neardup.lsh import overlaps_of_each
from neardup.types import ClusterId, ClusterInfo, Code, Half, ImageId, Placement

__all__ = ["ImagesAfter", "Near", "RecentImages", "RecentPlacements", "Remembered"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remembered:
    """An image that the index may not show yet: its code, and its embedding for the scorer."""

    image_id: ImageId
    code: Code
    score: Half


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Near:
    """Images that share terms with a probe, column by column: names, their rows in what was searched, and how many
    terms they share."""

    image_ids: list[ImageId]
    rows: npt.NDArray[np.intp]
    overlap: npt.NDArray[np.int32]


class RecentImages:
    """A ring of the last `capacity` decided images: search covers up to a seq, this covers the rest."""

    def __init__(self, *, capacity: int, since: int = 0) -> None:
        self._capacity = capacity
        self._since = since
        self._ids: list[ImageId] = [ImageId("")] * capacity
        self._seqs = np.zeros(capacity, dtype=np.int64)
        self._searchable = np.zeros(capacity, dtype=np.bool_)
        self._codes: Code | None = None
        self._scores: Half | None = None
        self._rows: dict[ImageId, int] = {}
        self._next = 0

    @property
    def since(self) -> int:
        """Every image decided after this seq is here."""
        return self._since

    def add(self, image_id: ImageId, *, seq: int, code: Code, score: Half, searchable: bool = True) -> None:
        """Remember an image just decided; forgets the oldest one when full. A newer version replaces the older. One
        that is not `searchable` is known, but `after` does not give it, as no search would."""
        if self._codes is None or self._scores is None:
            self._codes = np.zeros((self._capacity, code.shape[0]), dtype=code.dtype)
            self._scores = np.zeros((self._capacity, score.shape[0]), dtype=np.float16)
        old = self._rows.pop(image_id, None)
        if old is not None:
            self._seqs[old] = 0
        row = self._next
        self._next = (row + 1) % self._capacity
        if self._seqs[row]:
            del self._rows[self._ids[row]]
        self.advance(seq)
        self._ids[row] = image_id
        self._seqs[row] = seq
        self._searchable[row] = searchable
        self._codes[row] = code
        self._scores[row] = score
        self._rows[image_id] = row

    def advance(self, seq: int) -> None:
        """The ledger has come to `seq`. The memory reaches back from there by seq alone, so that one restored from the
        ledger reaches exactly as far as one that lived on."""
        self._since = max(self._since, seq - self._capacity)

    def remove(self, image_id: ImageId) -> None:
        """Forget an image that was erased."""
        row = self._rows.pop(image_id, None)
        if row is not None:
            self._seqs[row] = 0

    def after(self, seq: int) -> "ImagesAfter":
        """The images decided after `seq` that searches may find. It is of this moment: what is decided later is not in
        it."""
        rows = np.flatnonzero((self._seqs > seq) & self._searchable)
        # Read once for all proposals of a batch.
        codes = None if self._codes is None else np.asfortranarray(self._codes[rows])
        return ImagesAfter([self._ids[row] for row in rows.tolist()], rows, self._seqs[rows], codes)

    def scores(self, rows: npt.NDArray[np.intp]) -> Half:
        """The embeddings of rows that `ImagesAfter` found since the last image was added: shape (n, dimension)."""
        return np.empty((0, 0), np.float16) if self._scores is None else self._scores[rows]

    def seq_of(self, image_id: ImageId) -> int:
        """The seq of the decision that this image is remembered from; 0 when it is not."""
        row = self._rows.get(image_id)
        return 0 if row is None else int(self._seqs[row])

    def get(self, image_id: ImageId) -> Remembered | None:
        """One image, if it is remembered."""
        row = self._rows.get(image_id)
        if row is None or self._codes is None or self._scores is None:
            return None
        # Copies: the row is written again when it has become the oldest.
        return Remembered(image_id=image_id, code=self._codes[row].copy(), score=self._scores[row].copy())


class ImagesAfter:
    """Some of the recent images, column by column: names, `rows` in the ring, seqs and codes."""

    def __init__(
        self,
        image_ids: list[ImageId],
        rows: npt.NDArray[np.intp],
        seqs: npt.NDArray[np.int64],
        codes: Code | None,
    ) -> None:
        self._image_ids = image_ids
        self._rows = rows
        self._seqs = seqs
        self._codes = codes

    def near(self, queries: Sequence[Code], seqs: Sequence[int], least: Sequence[int]) -> list[Near]:
        """For each query of shape (tables + words, 1 + probes) those decided after its seq that share at least so many
        terms with it."""
        if self._codes is None or not self._image_ids:
            return [Near(image_ids=[], rows=np.empty(0, np.intp), overlap=np.empty(0, np.int32)) for _ in queries]
        return [
            self._of(np.flatnonzero((counts >= shared) & (self._seqs > seq)), counts)
            for counts, seq, shared in zip(overlaps_of_each(queries, self._codes), seqs, least, strict=True)
        ]

    def _of(self, found: npt.NDArray[np.intp], counts: npt.NDArray[np.int32]) -> Near:
        image_ids = [self._image_ids[at] for at in found.tolist()]
        return Near(image_ids=image_ids, rows=self._rows[found], overlap=counts[found])


class RecentPlacements:
    """The effects of decisions the graph may not have applied: they come before what the graph says."""

    def __init__(self) -> None:
        self._placements: OrderedDict[ImageId, Placement] = OrderedDict()
        self._clusters: OrderedDict[ClusterId, tuple[int, ClusterInfo]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._placements)

    def placement(self, image_id: ImageId) -> Placement | None:
        """Where a recent decision put this image."""
        return self._placements.get(image_id)

    def cluster(self, cluster_id: ClusterId) -> ClusterInfo | None:
        """This cluster after the last recent decision that changed it."""
        entry = self._clusters.get(cluster_id)
        return entry[1] if entry else None

    def add(self, decision: Decision, *, was: Placement | None, before: Iterable[ClusterInfo]) -> None:
        """Take in a decision; `was` is where the image was, `before` are the clusters it enters and leaves, where they
        existed, as they were."""
        clusters = {cluster.cluster_id: cluster for cluster in before}
        entered = decision.cluster_id
        was_indexed = was is not None and was.indexed
        if decision.previous_cluster is not None:
            left = clusters[decision.previous_cluster]
            self._change(replace(left, size=left.size - 1, exemplars=left.exemplars - was_indexed), decision.seq)
        old = clusters.get(entered)
        if old is None or old.size == 0:
            old = ClusterInfo(cluster_id=entered, head=decision.head, size=0, since=decision.seq, exemplars=0)
        stays = was is not None and was.cluster_id == entered
        size = old.size + (0 if stays else 1)
        exemplars = old.exemplars - (was_indexed if stays else 0) + decision.indexed
        self._change(replace(old, size=size, exemplars=exemplars), decision.seq)
        self._placements.pop(decision.image_id, None)
        self._placements[decision.image_id] = placement_of(decision)

    def forget(self, applied: int) -> None:
        """The graph has applied every decision up to this seq."""
        while self._placements and next(iter(self._placements.values())).seq <= applied:
            self._placements.popitem(last=False)
        while self._clusters and next(iter(self._clusters.values()))[0] <= applied:
            self._clusters.popitem(last=False)

    def _change(self, cluster: ClusterInfo, seq: int) -> None:
        self._clusters.pop(cluster.cluster_id, None)
        self._clusters[cluster.cluster_id] = (seq, cluster)
