"""Setting up a namespace: once, again, and by several processes at the same moment."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from neardup.cli.wiring import Wiring
from neardup.settings import Settings
from tests.engines_fixture import EngineSettings

pytestmark = pytest.mark.e2e

_T = TypeVar("_T")
NAMESPACE = "setup"


@pytest.fixture
def settings(engine_settings: EngineSettings) -> Iterator[Settings]:
    settings = engine_settings(NAMESPACE)
    _with_wiring(settings, Wiring.drop)
    yield settings
    _with_wiring(settings, Wiring.drop)


def test_setting_up_at_the_same_moment_works_for_all(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: _with_wiring(settings, Wiring.setup), range(4)))
    assert _with_wiring(settings, Wiring.setup) == []


def test_a_dry_run_changes_nothing(settings: Settings) -> None:
    planned = _with_wiring(settings, lambda wiring: wiring.setup(dry_run=True))
    assert planned
    assert _with_wiring(settings, Wiring.setup) == planned


def _with_wiring(settings: Settings, action: Callable[[Wiring], _T]) -> _T:
    wiring = Wiring(settings)
    try:
        return action(wiring)
    finally:
        wiring.close()
