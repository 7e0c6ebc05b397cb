"""Drops a projection and makes it again from the ledger while the others serve."""

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from neardup.cli.contents import contents_of
from neardup.cli.wiring import Wiring
from neardup.entries import Decision, ImageErased
from neardup.errors import ClusterStoreUnavailableError, UnavailableError
from neardup.folding import LedgerFold
from neardup.types import ImageId, IndexedImage

if TYPE_CHECKING:
    from indexer.opensearch_index import OpenSearchIndexCopy

__all__ = ["Rebuild"]

_AT_ONCE = 1_000
_FEW = 200
_ROUNDS = 50
_STILL_SECONDS = 3.0
_PAUSE_SECONDS = 0.1


class Rebuild:
    """Of one namespace, while workers run. Safe to interrupt and to repeat. All methods raise UnavailableError."""

    def __init__(self, wiring: Wiring, *, say: Callable[[str], None]) -> None:
        from graph.kafka_log import KafkaLedger, KafkaProposalLog

        self._wiring = wiring
        self._say = say
        self._ledger = KafkaLedger(wiring.kafka, wiring.topics)
        self._proposals = KafkaProposalLog(wiring.kafka, wiring.topics)
        self._fold = LedgerFold(self._ledger)

    def graph(self) -> int:
        """Readers of the graph wait meanwhile, heads in the cache are served; returns the seq it was made up to."""
        from graph.rebuilding import GraphRebuild

        self._fold.to_end()
        upto = self._fold.position.seq
        rebuild = GraphRebuild(self._wiring.gremlin, self._wiring.graph_names)
        rebuild.begin(upto=upto)
        # Nothing is applied to a graph that is closed: what was decided meanwhile is not in it.
        images, clusters = list(self._fold.images), list(self._fold.clusters)
        seqs = range(1, upto + 1)
        for start in range(0, max(len(images), upto), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            rebuild.drop_images(images[part], seqs[part])
            self._say(f"graph: dropped {min(start + _AT_ONCE, upto)} of {upto}")
        for start in range(0, len(clusters), _AT_ONCE):
            rebuild.drop_clusters(clusters[start : start + _AT_ONCE])
        rebuild.open()
        self._await_graph(upto)
        return upto

    def cache(self) -> int:
        """The cache is emptied, stands at the end of the ledger from then on, and is filled from the graph."""
        self._fold.to_end()
        self._wiring.cache.clear(upto=self._fold.position)
        ids = [placement.image_id for placement in self._fold.state.placements()]
        for start in range(0, len(ids), _AT_ONCE):
            self._wiring.heads.placements(ids[start : start + _AT_ONCE])
            self._say(f"cache: {min(start + _AT_ONCE, len(ids))} of {len(ids)} images")
        return self._fold.position.seq

    def index(self) -> int:
        """A new index is filled beside the one that is searched, and then takes its place in one step."""
        from indexer.opensearch_index import OpenSearchIndexCopy
        from opensearch_templates.setup import setup_index
        from opensearch_templates.switching import begin_index, hold_position, switch_index

        wiring = self._wiring
        client, names = wiring.opensearch, wiring.index_names
        setup_index(client, wiring.settings, wiring.lsh.version, words=wiring.lsh.words)
        new = begin_index(client, names)
        copy = OpenSearchIndexCopy(client, new)
        self._fold.to_end()
        self._write(copy, self._fold.images, tell=True)
        for _ in range(_ROUNDS):
            if self._follow(copy) < _FEW:
                break
        held = hold_position(client, names, new)
        while self._fold.position.seq < held.seq:
            self._follow(copy)
        copy.refresh()
        switch_index(client, names, new)
        return held.seq

    def _follow(self, copy: "OpenSearchIndexCopy") -> int:
        """Write what was decided since; returns how many entries that were."""
        ahead = self._fold.ahead()
        for position, entry in ahead:
            self._fold.take(position, entry)
        named = [entry.image_id for _, entry in ahead if isinstance(entry, Decision | ImageErased)]
        self._write(copy, dict.fromkeys(named))
        return len(ahead)

    def _write(self, copy: "OpenSearchIndexCopy", image_ids: Collection[ImageId], *, tell: bool = False) -> None:
        state, seq = self._fold.state, self._fold.position.seq
        waiting: dict[ImageId, IndexedImage] = {}
        missing = {image_id for image_id in image_ids if state.placement(image_id) is not None}
        total, done = len(missing), 0
        for image_id, (code, score, metadata) in contents_of(self._wiring, self._proposals, self._fold, list(missing)):
            placed = state.placement(image_id)
            assert placed is not None
            missing.discard(image_id)
            waiting[image_id] = IndexedImage(
                image_id=image_id,
                version=placed.version,
                seq=placed.seq,
                code=code,
                score=score,
                metadata=metadata,
                searchable=placed.indexed,
            )
            if len(waiting) == _AT_ONCE:
                copy.write(list(waiting.values()), [], seq=seq)
                done += len(waiting)
                waiting = {}
                if tell:
                    self._say(f"index: {done} of {total} images")
        removed = [image_id for image_id in image_ids if state.placement(image_id) is None]
        copy.write(list(waiting.values()), removed, seq=seq)
        if missing:
            # Neither proposal nor joined image is left: as the index has them now.
            kept = self._wiring.unlimited_search.images(sorted(missing)).values()
            copy.write(list(kept), [], seq=seq)
            self._say(f"index: {len(missing)} images were copied: their embeddings are in no topic any more")

    def _await_graph(self, upto: int) -> None:
        """Wait for the projector; where none seems to run, apply the ledger here."""
        from graph.projector import Projector

        projector = Projector("graph", ledger=self._ledger, projection=self._wiring.store, batch=_FEW)
        last, since = -1, time.monotonic()
        while True:
            seq = self._wiring.store.position().seq
            self._say(f"graph: applied {seq} of {upto}")
            if seq >= upto:
                return
            if seq != last:
                last, since = seq, time.monotonic()
            elif time.monotonic() - since > _STILL_SECONDS:
                try:
                    projector.step()
                    continue
                except UnavailableError as exc:
                    raise ClusterStoreUnavailableError(f"{exc}; repeat the command") from exc
            time.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._ledger.close()
        self._proposals.close()
