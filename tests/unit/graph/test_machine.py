from hypothesis import HealthCheck, settings

from tests.unit.graph.machine import Clusters

TestClusters = Clusters.TestCase
TestClusters.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
