"""Kafka: one KRaft node, broker and controller in one process."""

import base64
import logging
import os
import subprocess
import time
import uuid
from typing import TYPE_CHECKING, Final

from neardup.engines.artifacts import load_lock
from neardup.engines.classes import archive_flags
from neardup.engines.engine import Engine, Site
from neardup.engines.java import JVM_FLAGS, SERIAL, java_for
from neardup.engines.loopback import is_listening
from neardup.engines.processes import Launch
from neardup.errors import ConfigError, LogUnavailableError

if TYPE_CHECKING:
    from kafka import TopicPartition

__all__ = ["KAFKA"]

_VERSION: Final = "4.3.1"
_PROBE_TOPIC: Final = "neardup-engines-probe"

_FIXED: Final = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
auto.create.topics.enable=false
num.partitions=4
default.replication.factor=1
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=1
log.cleaner.dedupe.buffer.size=33554432
log.segment.bytes=134217728
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
controller.quorum.election.timeout.ms=500
controller.quorum.election.backoff.max.ms=200
controller.quorum.fetch.timeout.ms=1000
"""


# Python prints warnings of a library that nobody configured; these say only that this machine is slow.
logging.getLogger("kafka").addHandler(logging.NullHandler())


def _prepare(site: Site) -> Launch:
    java = java_for(None, java_home=site.settings.local.java_home, copies=site.cache)
    classpath = ":".join(str(artifact.cached(site.cache)) for artifact in load_lock("kafka"))
    properties = site.folder / "server.properties"
    broker, controller = f"127.0.0.1:{site.port}", f"127.0.0.1:{site.ports['controller']}"
    properties.write_text(
        f"{_FIXED}"
        f"controller.quorum.voters=1@{controller}\n"
        f"listeners=PLAINTEXT://{broker},CONTROLLER://{controller}\n"
        f"advertised.listeners=PLAINTEXT://{broker}\n"
        f"log.dirs={site.data}\n"
    )
    if not (site.data / "meta.properties").exists():
        _format([str(java), "-Xmx128m", "-XX:TieredStopAtLevel=1", SERIAL, "-cp", classpath], site)
    return Launch(
        argv=(
            str(java),
            *JVM_FLAGS,
            SERIAL,
            *archive_flags(site, java, classpath),
            "-Xms192m",
            "-Xmx512m",
            # Whoever commits a transaction waits for a collection, so let there be few.
            "-Xmn96m",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server=info",
            "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.storage=info",
            "-cp",
            classpath,
            "kafka.Kafka",
            str(properties),
        ),
        cwd=site.folder,
    )


def _format(java: list[str], site: Site) -> None:
    cluster = base64.b64encode(uuid.uuid4().bytes, altchars=b"AB").decode().rstrip("=")
    command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(site.folder / "server.properties")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if answer.returncode != 0:
        reason = (answer.stderr or answer.stdout).strip()[-600:]
        raise ConfigError(
            f"kafka: its data directory {site.data} cannot be formatted:\n{reason}\n"
            "To begin with an empty one: neardup engines wipe --engine kafka --yes"
        )


def _probe(site: Site) -> str:
    """Produce a record to an internal topic and consume that same record."""
    if not is_listening(site.port):
        raise LogUnavailableError("Kafka does not listen")
    from kafka import TopicPartition  # noqa: PLC0415 - slow to import
    from kafka.errors import KafkaError  # noqa: PLC0415

    try:
        _round_trip(f"127.0.0.1:{site.port}", TopicPartition(_PROBE_TOPIC, 0))
    except (KafkaError, ValueError, OSError) as exc:
        raise LogUnavailableError(f"Kafka does not answer: {exc!r}") from exc
    return _VERSION


def _round_trip(bootstrap: str, partition: "TopicPartition") -> None:
    from kafka import KafkaConsumer, KafkaProducer  # noqa: PLC0415
    from kafka.admin import KafkaAdminClient, NewTopic  # noqa: PLC0415
    from kafka.errors import TopicAlreadyExistsError  # noqa: PLC0415

    admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        if partition.topic not in admin.list_topics():
            config = {"retention.ms": "3600000", "segment.bytes": "1048576"}
            topic = NewTopic(partition.topic, num_partitions=1, replication_factor=1, topic_configs=config)
            admin.create_topics([topic], timeout_ms=5000)
    except TopicAlreadyExistsError:
        pass
    finally:
        admin.close()
    token = os.urandom(16)
    producer = KafkaProducer(bootstrap_servers=bootstrap, retries=3, max_block_ms=5000, acks="all")
    try:
        offset = producer.send(partition.topic, token, partition=0).get(timeout=5).offset
    finally:
        producer.close(timeout=5)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)
    try:
        consumer.assign([partition])
        consumer.seek(partition, offset)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for record in consumer.poll(timeout_ms=500).get(partition, ()):
                if record.value == token:
                    return
    finally:
        consumer.close()
    raise LogUnavailableError("Kafka took a record and did not give it back within 5 s")


KAFKA: Final = Engine(
    name="kafka", version=_VERSION, lock=True, purposes=("controller",), prepare=_prepare, probe=_probe
)
