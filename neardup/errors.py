"""Errors, in families by what a worker does about them.

    NearDupError
    ├── ConfigError              the operator's fault: printed, exit 2
    ├── InvalidMessageError      can never succeed: dead letter with its reason, commit, go on
    │   └── InvalidImageError    the same for the bytes of an image
    ├── UnavailableError         may succeed later: pause, back off with jitter, never dead-letter
    │   ├── LogUnavailableError          Kafka
    │   ├── SearchUnavailableError       OpenSearch
    │   │   └── HistoryBehindError       the history has not applied what is asked for yet
    │   ├── ScorerUnavailableError       TensorFlow Serving or the embedded PredictionService
    │   ├── ClusterStoreUnavailableError JanusGraph
    │   ├── CacheUnavailableError        Redis (as head cache: a miss and a metric)
    │   │   └── CacheBehindError         the head cache may lack decisions that are too old: a miss as well
    │   └── RateLimitedError             no server at fault: the search limit is used up for `retry_after_seconds`
    ├── UnknownImageError        no such image or cluster: told to whoever asked
    ├── InvalidCursorError       not a cursor of this cluster: told to whoever asked
    ├── ClusterConflictError     lost a race: read again, decide again, a bounded number of times
    ├── FencedError              another assigner took over: exit, the supervisor restarts
    └── IncompatibleIndexError   lsh_version or mapping differs: stop

Adapters raise only these, `from` the driver's own error. `REACTIONS` maps each family to its reaction.
"""

from typing import Final, Literal

__all__ = [
    "REACTIONS",
    "CacheBehindError",
    "CacheUnavailableError",
    "ClusterConflictError",
    "ClusterStoreUnavailableError",
    "ConfigError",
    "FencedError",
    "HistoryBehindError",
    "IncompatibleIndexError",
    "InvalidCursorError",
    "InvalidImageError",
    "InvalidMessageError",
    "LogUnavailableError",
    "NearDupError",
    "RateLimitedError",
    "Reaction",
    "ScorerUnavailableError",
    "SearchUnavailableError",
    "UnavailableError",
    "UnknownImageError",
    "reaction",
]

Reaction = Literal["exit-2", "answer", "dead-letter", "back-off", "decide-again", "restart", "stop"]


class NearDupError(Exception):
    """The root of every error this project raises on purpose."""


class ConfigError(NearDupError):
    """A setting, a path or the installation is wrong; only the operator can mend it."""


class InvalidMessageError(NearDupError):
    """A message that can never be processed. `field` names the part that is wrong, if one does."""

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


class InvalidImageError(InvalidMessageError):
    """Bytes that are not an image this project can decode."""


class UnavailableError(NearDupError):
    """A server did not answer, or answered that it cannot at present."""


class LogUnavailableError(UnavailableError):
    """Kafka is unavailable."""


class SearchUnavailableError(UnavailableError):
    """OpenSearch is unavailable, timed out or answered for a part of its shards only."""


class HistoryBehindError(SearchUnavailableError):
    """The history has not applied the seq that is asked for."""


class ScorerUnavailableError(UnavailableError):
    """The PredictionService is unavailable or has no model loaded."""


class ClusterStoreUnavailableError(UnavailableError):
    """JanusGraph is unavailable."""


class CacheUnavailableError(UnavailableError):
    """Redis is unavailable."""


class CacheBehindError(CacheUnavailableError):
    """Nobody vouches that the head cache has applied what has long been in the ledger."""


class RateLimitedError(UnavailableError):
    """The search limit is reached. `retry_after_seconds`: when to ask again."""

    def __init__(self, reason: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class UnknownImageError(NearDupError):
    """No image or cluster of this id was ever decided in this namespace."""


class InvalidCursorError(NearDupError):
    """A page was asked for behind a cursor that is none, or none of this cluster."""


class ClusterConflictError(NearDupError):
    """The stored state is not the one that this write was made for."""


class FencedError(NearDupError):
    """A newer assigner holds the transactional id; this process must end."""


class IncompatibleIndexError(NearDupError):
    """The index, the ledger or a model was made with another lsh_version or mapping."""


REACTIONS: Final[dict[type[NearDupError], Reaction]] = {
    ConfigError: "exit-2",
    InvalidMessageError: "dead-letter",
    UnavailableError: "back-off",
    UnknownImageError: "answer",
    InvalidCursorError: "answer",
    ClusterConflictError: "decide-again",
    FencedError: "restart",
    IncompatibleIndexError: "stop",
}


def reaction(error: NearDupError) -> Reaction:
    """The reaction to an error: that of its nearest ancestor in `REACTIONS`."""
    for family in type(error).__mro__:
        if family in REACTIONS:
            return REACTIONS[family]
    return "stop"
