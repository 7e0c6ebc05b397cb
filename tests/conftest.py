"""What all tests share."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

pytest_plugins = ["tests.engines_fixture"]

# The same examples in every run: a red build means a change, not luck.
settings.register_profile("neardup", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("neardup")


@pytest.fixture(autouse=True)
def no_kafka_client_is_left_open() -> Iterator[None]:
    """A client that nobody closes goes on reconnecting in the background of all later tests."""
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in threading.enumerate() if thread not in before and "kafka" in thread.name]
    assert not left, f"not closed: {left}"
