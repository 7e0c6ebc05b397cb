"""Real engines for a test session: brought up once, in a home of their own, taken down at the end.

NEARDUP_TEST_HOME=DIR keeps that home and leaves its engines running, for developers who run tests often.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neardup.engines.endpoints import Endpoints
from neardup.engines.supervisor import down, up
from neardup.settings import (
    JanusGraphSettings,
    KafkaSettings,
    LocalSettings,
    OpenSearchSettings,
    RedisSettings,
    ScorerSettings,
    Settings,
    load_settings,
)
from tests.opensearch_2 import opensearch_2

EngineSettings = Callable[[str], Settings]


@pytest.fixture(scope="session")
def engines_local() -> Iterator[LocalSettings]:
    """The local settings of the session's engines."""
    if kept := os.environ.get("NEARDUP_TEST_HOME"):
        yield load_settings().local.model_copy(update={"home": Path(kept)})
        return
    # Not pytest's own temporary folder: that is closed to the user OpenSearch runs as.
    home = Path(tempfile.mkdtemp(prefix="neardup-test-"))
    home.chmod(0o755)
    local = load_settings().local.model_copy(update={"home": home})
    try:
        yield local
    finally:
        down(Settings(local=local), [])
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def engines(engines_local: LocalSettings) -> Endpoints:
    """All five engines, up and answering."""
    return up(Settings(local=engines_local))


@pytest.fixture(scope="session")
def opensearch_2_url(engines_local: LocalSettings) -> Iterator[str]:
    """OpenSearch 2.19, up and answering."""
    folder = Path(tempfile.mkdtemp(prefix="neardup-opensearch-2-"))
    folder.chmod(0o755)
    with opensearch_2(engines_local, folder) as url:
        yield url
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def engine_settings(engines: Endpoints, engines_local: LocalSettings) -> EngineSettings:
    """namespace -> settings that point at the session's engines."""

    def make(namespace: str) -> Settings:
        return Settings(
            namespace=namespace,
            kafka=KafkaSettings(bootstrap_servers=engines.kafka_bootstrap),
            opensearch=OpenSearchSettings(url=engines.opensearch_url),
            janusgraph=JanusGraphSettings(url=engines.janusgraph_url),
            redis=RedisSettings(url=engines.redis_url),
            scorer=ScorerSettings(endpoint=engines.scorer_endpoint),
            local=engines_local,
        )

    return make
