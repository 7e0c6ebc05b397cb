"""The project role looks for suspicious clusters now and then, and logs them."""

from collections.abc import Callable

import structlog

from neardup.errors import NearDupError
from query.suspicion import SuspiciousClusters

__all__ = ["look_now_and_then"]

_log = structlog.get_logger("alarms")


def look_now_and_then(clusters: SuspiciousClusters, every_seconds: float, wait: Callable[[float], bool]) -> None:
    """Look every so many seconds until `wait(seconds)` says to stop. A cluster is told again when more is wrong with it
    or when it has doubled."""
    told: dict[str, tuple[int, frozenset[str]]] = {}
    while not wait(every_seconds):
        try:
            found = clusters.find()
        except NearDupError as exc:
            _log.warning("looking for suspicious clusters failed", error=str(exc))
            continue
        for suspicion in found:
            size, why = told.get(suspicion.cluster.cluster_id, (0, frozenset()))
            if suspicion.cluster.size < 2 * size and why >= set(suspicion.why):
                continue
            told[suspicion.cluster.cluster_id] = (suspicion.cluster.size, why | set(suspicion.why))
            _log.warning(
                "suspicious cluster",
                cluster_id=suspicion.cluster.cluster_id,
                head=suspicion.cluster.head,
                why=",".join(suspicion.why),
                members=suspicion.cluster.size,
                joined=suspicion.joined,
                score=suspicion.score,
                score_bound=suspicion.score_bound,
            )
