"""`neardup rebuild`: after wiping graph, index and cache the clusters are the same, while images flow."""

import pytest

from graph.schema import drop_namespace
from neardup.cli.rebuilding import Rebuild
from neardup.cli.verification import Verification
from neardup.errors import ClusterStoreUnavailableError
from neardup.types import ClusterId
from tests.e2e.conftest import PipelineFactory, Sample, flowing

pytestmark = pytest.mark.e2e


def test_all_is_made_again_while_images_flow(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("rebuildall")
    running.publish(sample.embeddings)
    running.drain()
    wiring = running.wiring
    with Verification(wiring) as verification:
        assert verification.check_projections() == []
        before = {
            info.cluster_id: verification.fold.state.members(info.cluster_id).members
            for info in verification.fold.state.clusters()
        }
    *_, last = sample.embeddings.values()
    said: list[str] = []
    with flowing(running, last):
        drop_namespace(wiring.gremlin, wiring.graph_names)
        client, names = wiring.opensearch, wiring.index_names
        client.delete_by_query(index=names.write, body={"query": {"match_all": {}}}, params={"conflicts": "proceed"})
        wiring.cache.clear()
        work = Rebuild(wiring, say=said.append)
        try:
            work.graph()
            work.index()
            work.cache()
        finally:
            work.close()
    running.drain()
    with Verification(wiring) as verification:
        assert verification.check_projections() == []
        state = verification.fold.state
    for cluster_id, members in before.items():
        assert wiring.store.members(cluster_id).members[: len(members)] == members
        assert state.members(cluster_id).members[: len(members)] == members
    flowed = [placed for placed in state.placements() if placed.image_id.startswith("flowing")]
    assert flowed
    assert len({placed.cluster_id for placed in flowed}) == 1, "a copy was decided while its copies could not be seen"


def test_a_graph_that_is_half_dropped_is_not_read(pipeline: PipelineFactory, sample: Sample) -> None:
    from graph.rebuilding import GraphRebuild

    running = pipeline("rebuildhalf")
    first, *_ = sample.embeddings
    running.publish({first: sample.embeddings[first]})
    running.drain()
    store = running.wiring.store
    closed = GraphRebuild(running.wiring.gremlin, running.wiring.graph_names)
    closed.begin(upto=1)
    for read in (
        store.position,
        lambda: store.placements([first]),
        lambda: list(store.placements_all()),
        lambda: store.clusters([ClusterId(first)]),
        lambda: store.segments(ClusterId(first)),
        lambda: store.members(ClusterId(first)),
        lambda: store.members(ClusterId(first), order="newest"),
    ):
        with pytest.raises(ClusterStoreUnavailableError, match="rebuilt"):
            read()
    assert running.wiring.heads.placements([first])[first].head == first
    work = Rebuild(running.wiring, say=lambda _: None)
    try:
        assert work.graph() == 1
    finally:
        work.close()
    assert store.placements([first])[first].head == first
