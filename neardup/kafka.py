"""Kafka clients with this project's settings: the one place that knows how to reach the brokers."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

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
from neardup.settings import KafkaSettings

__all__ = ["MAX_MESSAGE_BYTES", "Kafka", "bounded", "kafka_errors"]

_T = TypeVar("_T")

MAX_MESSAGE_BYTES = 4 * 1024 * 1024


@contextmanager
def kafka_errors(doing: str) -> Iterator[None]:
    """Turns the client's errors into this project's."""
    try:
        yield
    except (ProducerFencedError, InvalidProducerEpochError, FencedInstanceIdError) as exc:
        raise FencedError(f"{doing}: another process took over ({exc})") from exc
    except TransactionalIdAuthorizationFailedError as exc:
        raise ConfigError(f"{doing}: Kafka refuses the transactional id ({exc})") from exc
    except InvalidSessionTimeoutError as exc:
        raise ConfigError(
            f"{doing}: the brokers refuse so short a session time-out; lower group.min.session.timeout.ms there, "
            "or set NEARDUP_ASSIGN__SESSION_TIMEOUT_MS=6000 here"
        ) from exc
    except KafkaError as exc:
        raise LogUnavailableError(f"{doing}: {type(exc).__name__}: {exc}") from exc


def bounded(doing: str, action: Callable[[], _T], *, seconds: float = 15.0) -> _T:
    """The result of `action`, or LogUnavailableError after `seconds`.

    kafka-python 3.0 can wait without end where it looks up a group's coordinator, whatever time-out it is given; the
    thread that hangs is left behind, and so must be the client it uses.
    """
    result: Future[_T] = Future()

    def run() -> None:
        try:
            result.set_result(action())
        except BaseException as exc:  # noqa: BLE001 - handed to the caller
            result.set_exception(exc)

    threading.Thread(target=run, name="kafka-bounded", daemon=True).start()
    try:
        return result.result(timeout=seconds)
    except TimeoutError as exc:
        raise LogUnavailableError(f"{doing}: no answer within {seconds:.0f} s") from exc


class Kafka:
    """Makes clients for one cluster."""

    def __init__(self, settings: KafkaSettings, bootstrap_servers: str) -> None:
        self._connection: dict[str, Any] = {
            "bootstrap_servers": bootstrap_servers.split(","),
            "security_protocol": settings.security_protocol,
            "reconnect_backoff_max_ms": 1000,
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
                    "max_request_size": MAX_MESSAGE_BYTES,
                    "allow_auto_create_topics": False,
                }
                | config
            )

    def consumer(self, **config: Any) -> KafkaConsumer:
        """A consumer of committed records from the earliest on, that commits only when told to."""
        with kafka_errors("connecting to Kafka"):
            return KafkaConsumer(
                **self._connection
                | {
                    "metrics_enabled": False,
                    "enable_auto_commit": False,
                    "auto_offset_reset": "earliest",
                    "isolation_level": "read_committed",
                    "allow_auto_create_topics": False,
                    "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
                    "fetch_max_wait_ms": 100,
                    "metadata_max_age_ms": 15_000,
                    "retry_backoff_ms": 20,
                }
                | config
            )

    def admin(self) -> KafkaAdminClient:
        """An administration client."""
        with kafka_errors("connecting to Kafka"):
            return KafkaAdminClient(**self._connection)
