"""`neardup verify`: each injected inconsistency is found and mended while workers run and images flow."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from graph.gremlin import Gremlin
from neardup.cli.repair import Repair
from neardup.cli.verification import Verification
from neardup.cli.wiring import Wiring
from neardup.clusters import ClusterState
from neardup.messages import HeadChange
from neardup.types import ClusterId, ImageId, IndexedImage, Placement
from tests.e2e.conftest import PipelineFactory, Sample, flowing

pytestmark = pytest.mark.e2e

STRANGER = ImageId("a stranger")


class _Injected:
    """Faults for one namespace: each changes another image or cluster."""

    def __init__(self, wiring: Wiring, state: ClusterState) -> None:
        self._wiring = wiring
        self._state = state
        self._clusters = [info for info in state.clusters() if info.size >= 3]
        self._names = wiring.graph_names
        self._members = {
            info.cluster_id: [member.image_id for member in state.members(info.cluster_id).members]
            for info in self._clusters
        }

    def all(self) -> Iterator[tuple[str, str]]:
        """Injects one after the other; gives the place and the subject."""
        clusters = iter(self._clusters)
        for inject in (
            self._size,
            self._head,
            self._member_gone,
            self._member_elsewhere,
            self._version,
            self._cached_elsewhere,
            self._document_gone,
            self._document_of_another,
            self._document_withheld,
            self._document_unknown,
            self._terms_of_another,
            self._fed_elsewhere,
            self._feed_forgot,
        ):
            yield inject(next(clusters).cluster_id)

    def _script(self, text: str, uid: str, **more: object) -> None:
        with Gremlin(self._wiring.settings.janusgraph, str(self._wiring.settings.janusgraph.url)) as gremlin:
            gremlin._send(f"{text}; g.tx().commit(); return '[]'", {"uid": uid, **more})

    def _image(self, cluster_id: ClusterId, number: int = 1) -> Placement:
        placement = self._state.placement(self._members[cluster_id][number])
        assert placement is not None
        return placement

    def _size(self, cluster_id: ClusterId) -> tuple[str, str]:
        self._script("g.V().has('uid', uid).property('size', 99L).iterate()", self._names.cluster_uid(cluster_id))
        return "graph", cluster_id

    def _head(self, cluster_id: ClusterId) -> tuple[str, str]:
        self._script("g.V().has('uid', uid).property('head', 'x').iterate()", self._names.cluster_uid(cluster_id))
        return "graph", cluster_id

    def _member_gone(self, cluster_id: ClusterId) -> tuple[str, str]:
        image_id = self._image(cluster_id).image_id
        self._script("g.V().has('uid', uid).drop().iterate()", self._names.image_uid(image_id))
        return "graph", image_id

    def _member_elsewhere(self, cluster_id: ClusterId) -> tuple[str, str]:
        image_id = self._image(cluster_id).image_id
        other = self._names.cluster_uid(self._clusters[-1].cluster_id)
        text = (
            "def image = g.V().has('uid', uid).next(); image.edges(Direction.OUT, member).each { it.remove() }; "
            "image.addEdge(member, g.V().has('uid', other).next(), 'seq', 3L, 'member_id', image.value('image_id'))"
        )
        self._script(text, self._names.image_uid(image_id), other=other, member=self._names.member)
        return "graph", image_id

    def _version(self, cluster_id: ClusterId) -> tuple[str, str]:
        image_id = self._image(cluster_id).image_id
        self._script("g.V().has('uid', uid).property('version', 7L).iterate()", self._names.image_uid(image_id))
        return "graph", image_id

    def _cached_elsewhere(self, cluster_id: ClusterId) -> tuple[str, str]:
        wrong = replace(self._image(cluster_id), segment=ClusterId("x"), cluster_id=ClusterId("x"), head=ImageId("x"))
        self._wiring.cache.fill([wrong], read_at=self._wiring.cache.position().seq)
        return "cache", wrong.image_id

    def _document(self, cluster_id: ClusterId) -> IndexedImage:
        image_id = self._image(cluster_id).image_id
        return self._wiring.unlimited_search.images([image_id])[image_id]

    def _write(self, *images: IndexedImage, removed: tuple[ImageId, ...] = ()) -> None:
        self._wiring.index.apply(images, removed, upto=self._wiring.index.position())

    def _document_gone(self, cluster_id: ClusterId) -> tuple[str, str]:
        image = self._document(cluster_id)
        client, names = self._wiring.opensearch, self._wiring.index_names
        client.delete(index=names.write, id=image.image_id, version=image.seq, version_type="external_gte")
        client.indices.refresh(index=names.write)
        return "index", image.image_id

    def _document_of_another(self, cluster_id: ClusterId) -> tuple[str, str]:
        image, other = self._document(cluster_id), self._document(self._clusters[-1].cluster_id)
        self._write(replace(image, score=other.score))
        return "index", image.image_id

    def _document_withheld(self, cluster_id: ClusterId) -> tuple[str, str]:
        image = self._document(cluster_id)
        self._write(replace(image, searchable=not image.searchable))
        return "index", image.image_id

    def _document_unknown(self, cluster_id: ClusterId) -> tuple[str, str]:
        self._write(replace(self._document(cluster_id), image_id=STRANGER))
        return "index", STRANGER

    def _terms_of_another(self, cluster_id: ClusterId) -> tuple[str, str]:
        image, other = self._document(cluster_id), self._document(self._clusters[-1].cluster_id)
        from opensearch_templates.documents import document_of_image

        body = document_of_image(image) | {"terms": document_of_image(other)["terms"]}
        client, names = self._wiring.opensearch, self._wiring.index_names
        place = {"index": names.write, "id": image.image_id}
        client.index(**place, body=body, params={"version": image.seq, "version_type": "external_gte"})
        client.indices.refresh(index=names.write)
        return "index", image.image_id

    def _fed_elsewhere(self, cluster_id: ClusterId) -> tuple[str, str]:
        placement = self._image(cluster_id)
        change = HeadChange(
            image_id=placement.image_id,
            cluster_id=ClusterId("x"),
            segment=ClusterId("x"),
            head=ImageId("x"),
            previous_cluster_id=None,
            version=1,
            revision=10**9,
            rule="best-match",
            at_ms=0,
        )
        self._publish(placement.image_id, change.encode())
        return "feed", placement.image_id

    def _feed_forgot(self, cluster_id: ClusterId) -> tuple[str, str]:
        image_id = self._image(cluster_id).image_id
        self._publish(image_id, None)
        return "feed", image_id

    def _publish(self, key: str, value: bytes | None) -> None:
        producer = self._wiring.kafka.producer()
        producer.send(self._wiring.topics.heads, key=key.encode(), value=value).get(timeout=10)
        producer.close()


def test_each_injected_inconsistency_is_found_and_mended(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("verify")
    running.publish(sample.embeddings)
    running.drain()
    wiring = running.wiring

    with Verification(wiring) as verification:
        assert verification.check_projections() == []
        injected = list(_Injected(wiring, verification.fold.state).all())
        assert len(injected) == 13
        # Into a cluster without a fault: deciding trusts the graph, and what that says of a head comes into the ledger.
        *_, sound = verification.fold.state.clusters()
        with flowing(running, sample.embeddings[sound.head]):
            found = verification.check_projections()
            subjects = {(one.place, one.subject) for one in found}
            assert set(injected) <= subjects, f"not found: {set(injected) - subjects}"
            # What one fault does to others may be found as well, never what is sound.
            assert {one.place for one in found} == {"graph", "index", "cache", "feed"}
            assert not [one for one in found if one.subject.startswith("flowing")]
            Repair(wiring, verification, say=lambda _: None).mend(found)
            assert verification.check_projections() == []
    running.drain()
    with Verification(wiring) as verification:
        assert verification.check_projections() == []
        assert any(image_id.startswith("flowing") for image_id in verification.fold.images)


def test_a_projection_that_stands_still_is_told(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("verifybehind")
    first, *_ = sample.embeddings
    running.publish({first: sample.embeddings[first]})
    running.drain()
    running.supervisor.stop()
    running.wiring.cache.clear()
    with Verification(running.wiring, patience_seconds=0.5) as verification:
        (one,) = verification.check_projections()
    assert (one.place, one.kind, one.about) == ("cache", "behind", "projection")
