from collections.abc import Sequence

import pytest

from graph.projector import Projector
from neardup.entries import Entry
from neardup.errors import ClusterConflictError, ClusterStoreUnavailableError, LogUnavailableError
from neardup.testing import InMemoryClusterStore, InMemoryLedger, ledger_of, make_decision, position_of
from neardup.types import Position

DECISIONS = ledger_of([("a", "a"), ("b", "a"), ("c", "c"), ("d", "c"), ("b", "c")])


class FlakyStore(InMemoryClusterStore):
    """`errors` are raised by the next applications; `applied_anyway`: after having been applied."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.applied_anyway = False
        self.positions = 0

    def position(self) -> Position:
        self.positions += 1
        return super().position()

    def apply(self, entries: Sequence[Entry], *, upto: Position) -> None:
        if self.errors:
            if self.applied_anyway:
                super().apply(entries, upto=upto)
            raise self.errors.pop()
        super().apply(entries, upto=upto)


@pytest.fixture
def ledger() -> InMemoryLedger:
    ledger = InMemoryLedger()
    ledger.writer().append(DECISIONS)
    return ledger


@pytest.fixture
def store() -> FlakyStore:
    return FlakyStore()


def placements(store: InMemoryClusterStore) -> dict[str, str]:
    return {placement.image_id: placement.head for placement in store.placements_all()}


WHOLE = {"a": "a", "b": "c", "c": "c", "d": "c"}


def test_brings_a_projection_to_the_end(ledger: InMemoryLedger, store: FlakyStore) -> None:
    projector = Projector("graph", ledger=ledger, projection=store, batch=2)
    assert [projector.step() for _ in range(4)] == [2, 2, 1, 0]
    assert placements(store) == WHOLE
    assert store.position() == position_of(DECISIONS[-1])
    assert store.positions == 2


def test_continues_where_the_projection_stands(ledger: InMemoryLedger, store: FlakyStore) -> None:
    store.apply(DECISIONS[:3], upto=position_of(DECISIONS[2]))
    assert Projector("graph", ledger=ledger, projection=store, batch=200).step() == 2
    assert placements(store) == WHOLE


@pytest.mark.parametrize("applied_anyway", [False, True])
def test_after_a_failure_it_asks_where_the_projection_stands(
    ledger: InMemoryLedger, store: FlakyStore, applied_anyway: bool
) -> None:
    projector = Projector("graph", ledger=ledger, projection=store, batch=2)
    projector.step()
    store.errors, store.applied_anyway = [ClusterStoreUnavailableError("gone")], applied_anyway
    with pytest.raises(ClusterStoreUnavailableError):
        projector.step()
    while projector.step():
        pass
    assert placements(store) == WHOLE


def test_another_projector_at_work_is_no_error(ledger: InMemoryLedger, store: FlakyStore) -> None:
    slow = Projector("graph", ledger=ledger, projection=store, batch=2)
    slow.step()
    fast = Projector("graph", ledger=ledger, projection=store, batch=200)
    assert fast.step() == 3
    assert [slow.step(), slow.step()] == [0, 0]
    assert placements(store) == WHOLE


def test_a_conflict_is_read_again(ledger: InMemoryLedger, store: FlakyStore) -> None:
    projector = Projector("graph", ledger=ledger, projection=store, batch=200)
    store.errors = [ClusterConflictError("the applied seq is 7")]
    assert [projector.step(), projector.step(), projector.step()] == [0, 5, 0]


@pytest.mark.parametrize(
    ("prompt", "actor", "lingers"), [(True, "somebody", 0), (True, "assigner", 1), (False, "somebody", 1)]
)
def test_it_lingers_between_two_steps_but_not_after_a_command(
    ledger: InMemoryLedger, store: FlakyStore, prompt: bool, actor: str, lingers: int
) -> None:
    delays: list[float] = []

    def wait(seconds: float) -> bool:
        delays.append(seconds)
        return len(delays) > 3

    ledger.writer().append([make_decision(6, "e", "e", actor=actor)])
    Projector("graph", ledger=ledger, projection=store, batch=5, linger_seconds=100, prompt=prompt).run(wait)
    # A whole batch, the last entry, nothing more.
    assert [delay > 0 for delay in delays] == [False, False, bool(lingers), False]


def test_runs_until_told_to_stop_and_waits_longer_each_time(ledger: InMemoryLedger, store: FlakyStore) -> None:
    delays: list[float] = []
    store.errors = [LogUnavailableError("gone") for _ in range(5)]

    def wait(seconds: float) -> bool:
        delays.append(seconds)
        return len(delays) > 8

    Projector("graph", ledger=ledger, projection=store, batch=200).run(wait)
    assert placements(store) == WHOLE
    assert [delay > 0 for delay in delays] == [False, *[True] * 5, False, False, False]
    assert delays[5] > 2 * delays[1]
