"""Kafka clients with this project's settings: the one place that knows how to reach the brokers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    InvalidSessionTimeoutError,
    KafkaError,
    ProducerFencedError,
    TransactionalIdAuthorizationFailedError,
)

from neardup.errors import ConfigError, FencedError, LogUnavailableError
from neardup.kafka_repairs import PatientCoordinator, client
from neardup.settings import KafkaSettings

__all__ = [
    "ANSWER_MS",
    "MAX_MESSAGE_BYTES",
    "Kafka",
    "Outgoing",
    "RenewedConsumer",
    "RenewedProducer",
    "kafka_errors",
    "set_fetch_wait",
]

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
ANSWER_MS = 5000
"""How long the brokers may take to answer a question about offsets."""
_CLOSE_MS = 5000
_DURABLE_SECONDS = 30.0
_BATCH_BYTES = 512 * 1024
"""What goes to a partition in one request; a request more costs either side 1 ms of CPU and more."""
_FENCED = (ProducerFencedError, InvalidProducerEpochError, FencedInstanceIdError)


@contextmanager
def kafka_errors(doing: str) -> Iterator[None]:
    """Turns the client's errors into this project's."""
    try:
        yield
    except _FENCED as exc:
        raise FencedError(f"{doing}: another process took over ({exc})") from exc
    except TransactionalIdAuthorizationFailedError as exc:
        raise ConfigError(f"{doing}: Kafka refuses the transactional id ({exc})") from exc
    except InvalidSessionTimeoutError as exc:
        raise ConfigError(
            f"{doing}: the brokers refuse so short a session time-out; lower group.min.session.timeout.ms there, "
            "or set NEARDUP_ASSIGN__SESSION_TIMEOUT_MS=6000 here"
        ) from exc
    except KafkaError as exc:
        # What follows a request that was fenced fails with that error inside another one.
        family = FencedError if any(isinstance(part, _FENCED) for part in exc.args) else LogUnavailableError
        raise family(f"{doing}: {type(exc).__name__}: {exc}") from exc


class Kafka:
    """Makes clients for one cluster."""

    def __init__(self, settings: KafkaSettings, bootstrap_servers: str) -> None:
        self._connection: dict[str, Any] = {
            "bootstrap_servers": bootstrap_servers.split(","),
            "security_protocol": settings.security_protocol,
            "reconnect_backoff_max_ms": 1000,
            "kafka_client": client,
        }
        if settings.sasl_mechanism:
            self._connection |= {
                "sasl_mechanism": settings.sasl_mechanism,
                "sasl_plain_username": settings.sasl_username,
                "sasl_plain_password": settings.sasl_password and settings.sasl_password.get_secret_value(),
            }
        if settings.ssl_cafile:
            self._connection["ssl_cafile"] = str(settings.ssl_cafile)

    def producer(self, **config: Any) -> KafkaProducer:
        """A producer that waits for every in-sync copy. `retry_backoff_ms` is what a transaction's latency hangs on."""
        with kafka_errors("connecting to Kafka"):
            return KafkaProducer(
                **self._connection
                | {
                    "metrics_enabled": False,
                    "acks": "all",
                    "retry_backoff_ms": 5,
                    "linger_ms": 5,
                    "batch_size": _BATCH_BYTES,
                    "max_request_size": MAX_MESSAGE_BYTES,
                    "allow_auto_create_topics": False,
                }
                | config
            )

    def consumer(self, **config: Any) -> KafkaConsumer:
        """A consumer of committed records from the earliest on, that commits only when told to."""
        with kafka_errors("connecting to Kafka"):
            consumer = KafkaConsumer(
                **self._connection
                | {
                    "metrics_enabled": False,
                    "enable_auto_commit": False,
                    "auto_offset_reset": "earliest",
                    "isolation_level": "read_committed",
                    "allow_auto_create_topics": False,
                    "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
                    "fetch_max_wait_ms": 100,
                    # With sessions, a partition without news is left out of answers: after a rebalance that crossed a
                    # fetch, the end of an empty one stayed unknown for good.
                    "enable_incremental_fetch_sessions": False,
                    "metadata_max_age_ms": 15_000,
                    "retry_backoff_ms": 20,
                }
                | config
            )
            # There is no setting for it.
            consumer._coordinator.__class__ = PatientCoordinator
            return consumer

    def admin(self) -> KafkaAdminClient:
        """An administration client."""
        with kafka_errors("connecting to Kafka"):
            return KafkaAdminClient(**self._connection)


def set_fetch_wait(consumer: KafkaConsumer, *, min_bytes: int, max_wait_ms: int) -> None:
    """From the next fetch on, have the brokers answer as soon as there is so much, or after this time. kafka-python
    reads both for each request but offers them only when a consumer is made."""
    consumer._fetcher.config |= {"fetch_min_bytes": min_bytes, "fetch_max_wait_ms": max_wait_ms}


class RenewedConsumer:
    """A consumer for asking the brokers, opened when it is first used and opened anew after any failure: a client that
    did not answer once may never answer again. Not thread-safe."""

    def __init__(self, make: Callable[[], KafkaConsumer]) -> None:
        self._make = make
        self._consumer: KafkaConsumer | None = None

    @contextmanager
    def use(self, doing: str) -> Iterator[KafkaConsumer]:
        """The consumer, for the time of the block. Raises LogUnavailableError; `doing` says what was tried."""
        try:
            with kafka_errors(doing):
                self._consumer = self._consumer or self._make()
                yield self._consumer
        except LogUnavailableError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(KafkaError, RuntimeError):
                consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)


class Outgoing(NamedTuple):
    """A message to write; a value of None is a tombstone. `partition` None: by the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class RenewedProducer:
    """A producer that is opened when it is first used and opened anew after any failure: after some errors the client
    refuses everything for good. Not thread-safe."""

    def __init__(self, make: Callable[[], KafkaProducer]) -> None:
        self._make = make
        self._producer: KafkaProducer | None = None

    def write(self, messages: Sequence[Outgoing], doing: str) -> list[int]:
        """Return the offset of each when every in-sync copy has them. Raises LogUnavailableError (some may be there:
        messages may come twice); `doing` says what was tried."""
        try:
            with kafka_errors(doing):
                self._producer = self._producer or self._make()
                futures = [
                    self._producer.send(
                        message.topic,
                        key=message.key,
                        value=message.value,
                        partition=message.partition,
                        headers=list(message.headers),
                    )
                    for message in messages
                ]
                self._producer.flush(timeout=_DURABLE_SECONDS)
                return [future.get(timeout=0).offset for future in futures]
        except LogUnavailableError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, RuntimeError):
                producer.close(timeout=_CLOSE_MS / 1000)
