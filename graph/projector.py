"""Following the ledger: applies its entries to one projection, in order, from wherever that projection stands."""

import time
from collections.abc import Callable

import structlog

from graph.freshness import Voucher
from neardup.backoff import BackOff
from neardup.entries import ASSIGNER
from neardup.errors import ClusterConflictError, UnavailableError
from neardup.ports import FollowedLedger, Projection, Vouched
from neardup.types import Position

__all__ = ["Projector"]

_log = structlog.get_logger("projector")


class Projector:
    """Brings one projection up to the end of the ledger. It alone writes this projection; should two run by mistake,
    the projection accepts only the next seq and the slower one reads its position again.

    `linger_seconds`: time between two steps, unless a whole batch waits: for a projection whose steps cost much.
    `prompt`: what a command did is followed by the next step at once, for the assigner answers the next command when
    the graph shows this one.
    """

    def __init__(
        self,
        name: str,
        *,
        ledger: FollowedLedger,
        projection: Projection,
        batch: int,
        linger_seconds: float = 0.0,
        prompt: bool = False,
    ) -> None:
        self.name = name
        self._ledger = ledger
        self._projection = projection
        self._batch = batch
        self._linger = linger_seconds
        self._prompt = prompt
        self._commanded = False
        self._position: Position | None = None
        self._voucher = Voucher(ledger, projection) if isinstance(projection, Vouched) else None

    def step(self) -> int:
        """Apply the next entries; returns how many. Raises UnavailableError: call again later."""
        position = self._position
        if position is None:
            position = self._projection.position()
            _log.info("projection continues", projection=self.name, seq=position.seq)
        # Unknown until the step has succeeded: after any error the projection is asked again.
        self._position = None
        if self._voucher is not None:
            self._voucher.before_reading()
        entries = self._ledger.read(after=position, limit=self._batch)
        self._commanded = any(entry.actor != ASSIGNER for _, entry in entries)
        if entries:
            upto = entries[-1][0]
            try:
                self._projection.apply([entry for _, entry in entries], upto=upto)
            except ClusterConflictError as exc:
                _log.warning("projection stands elsewhere", projection=self.name, error=str(exc))
                return 0
            position = upto
        if self._voucher is not None:
            self._voucher.applied(position, at_end=not entries)
        self._position = position
        return len(entries)

    def run(self, wait: Callable[[float], bool]) -> None:
        """Step until `wait(seconds)` says to stop."""
        back_off = BackOff()
        delay = 0.0
        while not wait(delay):
            begun = time.monotonic()
            try:
                applied = self.step()
            except UnavailableError as exc:
                delay = back_off.next()
                _log.warning("engine unavailable, waiting", projection=self.name, error=str(exc))
            else:
                back_off.reset()
                lingers = 0 < applied < self._batch and not (self._prompt and self._commanded)
                delay = max(0.0, begun + self._linger - time.monotonic()) if lingers else 0.0
