"""A cluster of many copies: all are members, only enough of them are searched."""

import pytest

from neardup.types import ClusterId, ImageId
from opensearch_templates.status import index_status
from tests.e2e.conftest import PipelineFactory, Sample
from tests.e2e.verify import assert_projections_equal_ledger

pytestmark = pytest.mark.e2e

COPIES = 120


def test_of_many_copies_enough_are_searched(pipeline: PipelineFactory, sample: Sample) -> None:
    running = pipeline("exemplars")
    enough = running.settings.assign.enough_exemplars
    first, *_, other = sample.embeddings.values()
    copies = {ImageId(f"copy {number}"): first for number in range(COPIES)}
    running.publish(copies)
    running.drain()
    state = assert_projections_equal_ledger(running.wiring, copies)
    (cluster,) = state.clusters()
    assert (cluster.size, cluster.exemplars) == (COPIES, enough)
    status = index_status(running.wiring.opensearch, running.wiring.index_names)
    assert (status.images, status.searchable) == (COPIES, enough)

    # One that was not indexed changes into something else: it moves, and is found there.
    hidden = next(placement.image_id for placement in state.placements() if not placement.indexed)
    running.publish({hidden: other}, version=2)
    running.drain()
    found = running.wiring.similar_images.lookup_embeddings(other)
    assert found.match is not None
    assert found.match.image_id == hidden
    info = running.wiring.store.clusters([cluster.cluster_id, ClusterId(hidden)])
    assert (info[cluster.cluster_id].size, info[cluster.cluster_id].exemplars) == (COPIES - 1, enough)
    assert (info[ClusterId(hidden)].size, info[ClusterId(hidden)].exemplars) == (1, 1)
    assert_projections_equal_ledger(running.wiring, copies)
