"""Creates the topics of a namespace on Kafka, and compares those that exist."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import TopicAlreadyExistsError

from neardup.errors import ConfigError
from neardup.kafka import MAX_MESSAGE_BYTES, Kafka, kafka_errors
from neardup.settings import KafkaSettings
from neardup.topics import Topics

__all__ = ["TopicSpec", "drop_topics", "retention_hours", "setup_topics", "topic_specs"]

_FOREVER = {"retention.ms": "-1", "retention.bytes": "-1"}
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it must be."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def topic_specs(topics: Topics, settings: KafkaSettings) -> list[TopicSpec]:
    """Every topic of a namespace. One partition means: in order for good."""
    many = settings.partitions
    # The broker's clock: the join's grace must not depend on the clocks of producers.
    arrivals = {"message.timestamp.type": "LogAppendTime"}
    compacted = {"cleanup.policy": "compact"}
    recent = {"retention.ms": str(settings.proposal_retention_hours * _HOUR_MS)}
    moved = {"retention.ms": str(settings.move_retention_hours * _HOUR_MS)}
    return [
        TopicSpec(name=topics.lsh_embeddings, partitions=many, config=arrivals),
        TopicSpec(name=topics.score_embeddings, partitions=many, config=arrivals),
        TopicSpec(name=topics.images, partitions=many, config=compacted),
        TopicSpec(name=topics.incomplete, partitions=many, config=compacted),
        TopicSpec(name=topics.requeue, partitions=many),
        TopicSpec(name=topics.proposals, partitions=1, config=recent),
        TopicSpec(name=topics.ledger, partitions=1, config=_FOREVER),
        TopicSpec(name=topics.standing, partitions=1, config=compacted),
        TopicSpec(name=topics.heads, partitions=many, config=compacted),
        TopicSpec(name=topics.clusters, partitions=many, config=compacted),
        TopicSpec(name=topics.moves, partitions=1, config=moved),
        TopicSpec(name=topics.dead_letters, partitions=1, config=_FOREVER),
        TopicSpec(name=topics.replayed, partitions=1, config=compacted),
    ]


def setup_topics(kafka: Kafka, topics: Topics, settings: KafkaSettings, *, dry_run: bool = False) -> list[str]:
    """Create what is missing; returns what was done (or would be), one line each.

    Raises ConfigError for a topic that exists with another number of partitions, LogUnavailableError.
    """
    admin = kafka.admin()
    try:
        with kafka_errors("reading the topics"):
            existing = set(admin.list_topics())
        changes = []
        for spec in topic_specs(topics, settings):
            if spec.name in existing:
                _compare(admin, spec)
                continue
            changes.append(f"create topic {spec.name} with {spec.partitions} partitions")
            if not dry_run:
                _create(admin, spec, settings.replication_factor)
        return changes
    finally:
        admin.close()


def retention_hours(kafka: Kafka, names: Sequence[str]) -> dict[str, float | None]:
    """How long each of these topics keeps a message, as the brokers say; None: for good. Raises LogUnavailableError."""
    admin = kafka.admin()
    try:
        with kafka_errors("reading the retention of topics"):
            resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            found = admin.describe_configs(resources, config_filter="all")["topic"]
    finally:
        admin.close()
    kept = {name: int(found[name]["retention.ms"]["value"]) for name in names}
    return {name: None if milliseconds < 0 else milliseconds / _HOUR_MS for name, milliseconds in kept.items()}


def drop_topics(kafka: Kafka, topics: Topics, settings: KafkaSettings) -> None:
    """Delete every topic of a namespace, with all its data."""
    admin = kafka.admin()
    try:
        with kafka_errors("deleting topics"):
            existing = set(admin.list_topics())
            names = [spec.name for spec in topic_specs(topics, settings) if spec.name in existing]
            if names:
                admin.delete_topics(names)
            # Deleting goes on after the answer; a topic made meanwhile under the old name would vanish too.
            for _ in range(100):
                if not set(names) & set(admin.list_topics()):
                    return
                time.sleep(0.05)
    finally:
        admin.close()


def _create(admin: KafkaAdminClient, spec: TopicSpec, replication_factor: int) -> None:
    config = {"max.message.bytes": str(MAX_MESSAGE_BYTES), **spec.config}
    topic = NewTopic(
        name=spec.name, num_partitions=spec.partitions, replication_factor=replication_factor, topic_configs=config
    )
    with kafka_errors(f"creating topic {spec.name}"):
        try:
            admin.create_topics([topic])
        except TopicAlreadyExistsError:
            return
        admin.wait_for_topics([spec.name])


def _compare(admin: KafkaAdminClient, spec: TopicSpec) -> None:
    with kafka_errors(f"describing topic {spec.name}"):
        found = admin.describe_topics([spec.name])[0]
    partitions = len(found["partitions"])
    if partitions != spec.partitions:
        raise ConfigError(
            f"topic {spec.name} has {partitions} partitions, the settings say {spec.partitions}: "
            "set NEARDUP_KAFKA__PARTITIONS to what exists, or use another namespace"
        )
