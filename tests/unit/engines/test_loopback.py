import os
import socket
from collections.abc import Iterator

import pytest

from neardup.engines.loopback import choose_port, is_free, is_listening
from neardup.errors import ConfigError

SETTING = "NEARDUP_LOCAL__KAFKA_PORT"


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_free_and_listening(busy: int) -> None:
    assert not is_free(busy)
    assert is_listening(busy)
    free = choose_port(setting=SETTING, pinned=None, remembered=None, taken=())
    assert is_free(free)
    assert not is_listening(free)


def test_pinned_port_wins() -> None:
    assert choose_port(setting=SETTING, pinned=9092, remembered=5, taken=(), free=lambda _: True) == 9092


def test_busy_pinned_port_names_setting_and_owner(busy: int) -> None:
    with pytest.raises(ConfigError, match=rf"{SETTING}: port {busy} is in use by pid {os.getpid()} \("):
        choose_port(setting=SETTING, pinned=busy, remembered=None, taken=())


def test_pinned_port_of_another_engine() -> None:
    with pytest.raises(ConfigError, match="also given to another engine"):
        choose_port(setting=SETTING, pinned=9092, remembered=None, taken={9092}, free=lambda _: True)


def test_remembered_port_is_kept_while_it_is_free() -> None:
    assert choose_port(setting=SETTING, pinned=None, remembered=20_001, taken=(), free=lambda _: True) == 20_001


@pytest.mark.parametrize("taken", [{20_001}, set()])
def test_remembered_port_that_another_took_is_replaced(taken: set[int]) -> None:
    chosen = choose_port(setting=SETTING, pinned=None, remembered=20_001, taken=taken, free=lambda port: port != 20_001)
    assert chosen != 20_001
    assert 15_000 <= chosen < 32_768


def test_no_free_port_at_all() -> None:
    with pytest.raises(ConfigError, match="no free port"):
        choose_port(setting=SETTING, pinned=None, remembered=None, taken=(), free=lambda _: False)
