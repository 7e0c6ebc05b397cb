"""The state machine of clusters over the real graph: it shows the ledger folded, whatever happens in between."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from graph.schema import drop_namespace, setup_schema
from neardup.engines.endpoints import Endpoints
from neardup.ports import ClusterStore
from neardup.settings import JanusGraphSettings
from tests.unit.graph.machine import Clusters

pytestmark = pytest.mark.integration

NAMES = GraphNames("clustermachine")


@pytest.fixture
def gremlin(engines: Endpoints) -> Iterator[Gremlin]:
    with Gremlin(JanusGraphSettings(timeout_seconds=30), engines.janusgraph_url) as gremlin:
        setup_schema(gremlin, NAMES)
        yield gremlin
        drop_namespace(gremlin, NAMES)


def test_the_graph_is_the_ledger_folded(gremlin: Gremlin) -> None:
    class OnJanusGraph(Clusters):
        def make_store(self) -> ClusterStore:
            drop_namespace(gremlin, NAMES)
            return JanusGraphClusterStore(gremlin, NAMES)

    run_state_machine_as_test(
        OnJanusGraph,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
