"""The settings of the trials, and the engines under trial: of the benchmark's own, or those of a home."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.engines import own_home
from neardup.engines.endpoints import Endpoints, local_endpoints
from neardup.settings import AssignSettings, IngestSettings, Settings

__all__ = ["trial_engines", "with_timeouts"]

_NAMESPACE = "resilience"
_GRACE_SECONDS = 0.6
_PARTITIONS = 4


@contextmanager
def trial_engines(home: Path | None) -> Iterator[tuple[Settings, Path]]:
    """The settings of the trials on new local engines, or on those of `home`; and a folder for logs, which goes when
    the engines do."""
    with own_home(home=home) as usual:
        yield _settings_of(usual, local_endpoints(usual.local)), usual.local.home


def _settings_of(settings: Settings, endpoints: Endpoints) -> Settings:
    """The settings of a trial: a short grace, so that late halves are late, and few exemplars, so that some images are
    not indexed. Patient, for whoever checks must not give up."""
    return Settings.model_validate(
        settings.model_dump()
        | {
            "namespace": settings.namespace if "namespace" in settings.model_fields_set else _NAMESPACE,
            "kafka": {"bootstrap_servers": endpoints.kafka_bootstrap, "partitions": _PARTITIONS},
            "opensearch": {"url": endpoints.opensearch_url},
            "janusgraph": {"url": endpoints.janusgraph_url},
            "redis": {"url": endpoints.redis_url},
            "scorer": {"endpoint": endpoints.scorer_endpoint},
            "ingest": IngestSettings(grace_seconds=_GRACE_SECONDS),
            "assign": AssignSettings(enough_exemplars=5),
        }
    )


def with_timeouts(settings: Settings, *, seconds: float, redis_seconds: float) -> Settings:
    """The same with other time-outs."""
    values = settings.model_dump()
    for engine in ("opensearch", "janusgraph", "scorer"):
        values[engine]["timeout_seconds"] = seconds
    values["redis"]["timeout_seconds"] = redis_seconds
    return Settings.model_validate(values)
