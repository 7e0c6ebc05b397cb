"""Where PredictionServices answer: one channel each, taken in turn, those that gave no answer in time last."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from neardup.errors import ConfigError
from scorer import wire

__all__ = ["Endpoint", "Endpoints", "Tls"]

_REST_SECONDS: Final = 5.0

# gRPC itself repeats a call that never reached the only server; with several, the next one is asked instead.
_RETRIES: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "tensorflow.serving.PredictionService"}, {"service": wire.STATUS.service}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
_RECONNECT: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    # This also is how long one attempt to connect may take: a busy machine needs more than an instant.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM. `ca_file`: who signs the server's certificate; None: the usual authorities. `cert_file` and
    `key_file`: who we are, when the server asks."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises ConfigError naming a file that cannot be read."""
        return grpc.ssl_channel_credentials(_read(self.ca_file), _read(self.key_file), _read(self.cert_file))


class Endpoint:
    """The methods of one server; each takes a request and `timeout`, and has `future`."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None, *, retries: bool) -> None:
        self.address = address
        again: tuple[str, str | int] = ("grpc.service_config", _RETRIES) if retries else ("grpc.enable_retries", 0)
        options = [*wire.CHANNEL_OPTIONS, *_RECONNECT, again]
        self._channel = (
            grpc.secure_channel(address, credentials, options=options)
            if credentials
            else grpc.insecure_channel(address, options=options)
        )
        # The requests of Predict are encoded by scorer.tensors.
        self.predict = self._callable(wire.PREDICT, encode=None)
        self.metadata = self._callable(wire.METADATA, encode=wire.METADATA.encode_request)
        self.status = self._callable(wire.STATUS, encode=wire.STATUS.encode_request)

    def close(self) -> None:
        self._channel.close()

    def _callable(self, method: wire.Method, *, encode: Callable[[Any], bytes] | None) -> Any:
        return self._channel.unary_unary(
            method.path, request_serializer=encode, response_deserializer=method.decode_response
        )


class Endpoints:
    """`addresses`: host:port, several with commas between them. Thread-safe. Raises ConfigError."""

    def __init__(self, addresses: str, tls: Tls | None = None) -> None:
        names = [name.strip() for name in addresses.split(",")]
        if not all(names):
            raise ConfigError(f"endpoint of the scorer: {addresses!r} is not host:port, or several with commas")
        credentials = tls.credentials() if tls else None
        self._all = [Endpoint(name, credentials, retries=len(names) == 1) for name in names]
        self._turn = itertools.count()
        self._rests_until: dict[Endpoint, float] = {}

    def in_turn(self) -> list[Endpoint]:
        """All endpoints in the order in which to ask them, another one first each time."""
        start = next(self._turn) % len(self._all)
        now = time.monotonic()
        # The sort is stable: those at rest keep their order, behind the others.
        return sorted(
            self._all[start:] + self._all[:start], key=lambda endpoint: self._rests_until.get(endpoint, 0.0) > now
        )

    def rest(self, endpoint: Endpoint) -> None:
        """Ask this one last for a while: it does not answer, and nobody should wait for it again so soon."""
        self._rests_until[endpoint] = time.monotonic() + _REST_SECONDS

    def close(self) -> None:
        """Give the connections back."""
        for endpoint in self._all:
            endpoint.close()


def _read(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as exc:
        raise ConfigError(f"TLS of the scorer: cannot read {file}: {exc.strerror}") from exc
