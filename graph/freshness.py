"""Vouching for a projection: knowing that it has applied whatever was in the ledger at some moment. Ports only."""

import time
from collections.abc import Callable
from typing import Final

from neardup.ports import FollowedLedger, Vouched
from neardup.types import Position

__all__ = ["Voucher"]

_EVERY_SECONDS: Final = 1.0


class Voucher:
    """Notes where the ledger ends, at most once a second, and vouches when the projection has come so far.

    Under a steady stream a projection is never at the end of the ledger; that it has passed the end of a second ago can
    be said all the same.
    """

    def __init__(
        self, ledger: FollowedLedger, projection: Vouched, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._projection = projection
        self._monotonic = monotonic
        self._noted: tuple[float, int] | None = None
        self._next = monotonic()

    def before_reading(self) -> None:
        """To be called before the ledger is read. Raises LogUnavailableError."""
        now = self._monotonic()
        if self._noted is None and now >= self._next:
            # The moment first: what is in the ledger by then lies before its end.
            self._noted = now, self._ledger.end()

    def applied(self, position: Position, *, at_end: bool) -> None:
        """To be called when the projection stands at `position`; `at_end`: the ledger had nothing behind it, asked
        after `before_reading`. Raises UnavailableError."""
        if self._noted is None:
            return
        moment, end = self._noted
        if at_end or position.ledger_offset + 1 >= end:
            now = self._monotonic()
            self._projection.vouch(position.seq, seconds_ago=now - moment)
            self._noted = None
            self._next = moment + _EVERY_SECONDS
