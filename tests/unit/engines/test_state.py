import subprocess
import sys
from pathlib import Path

import pytest

from neardup.engines.endpoints import local_endpoints
from neardup.engines.state import ProcessRecord, State, exclusive, read_state, write_state
from neardup.errors import ConfigError
from neardup.settings import LocalSettings

NAMES = ("opensearch", "kafka", "janusgraph", "redis", "scorer")


def running(*names: str) -> State:
    state = State()
    for port, name in enumerate(names, start=2001):
        state = state.started(name, ProcessRecord(pid=1, created=1.0, command=("x",), port=port))
    return state


def test_no_file_is_the_empty_state(tmp_path: Path) -> None:
    assert read_state(tmp_path) == State()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    state = State(ports={"kafka": 1, "kafka.controller": 2}, processes=running("kafka").processes)
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


def test_stopped_engine_keeps_its_ports() -> None:
    state = State(ports={"kafka": 1}).started("kafka", running("kafka").processes["kafka"]).stopped("kafka")
    assert state == State(ports={"kafka": 1})


@pytest.mark.parametrize("text", ["", "{", '{"ports": {"kafka": "x"}}', '{"other": 1}'])
def test_damaged_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "engines.json").write_text(text)
    with pytest.raises(ConfigError, match=r"engines.json is damaged; .* delete this file"):
        read_state(tmp_path)


def test_endpoints_of_running_engines(tmp_path: Path) -> None:
    write_state(tmp_path, running(*NAMES))
    endpoints = local_endpoints(LocalSettings(home=tmp_path))
    assert endpoints.opensearch_url == "http://127.0.0.1:2001"
    assert endpoints.kafka_bootstrap == "127.0.0.1:2002"
    assert endpoints.janusgraph_url == "ws://127.0.0.1:2003/gremlin"
    assert endpoints.redis_url == "redis://127.0.0.1:2004/0"
    assert endpoints.scorer_endpoint == "127.0.0.1:2005"


@pytest.mark.parametrize("names", [(), NAMES[1:]])
def test_endpoints_need_all_engines(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_state(tmp_path, running(*names))
    with pytest.raises(ConfigError, match="not running; start them with: neardup engines up"):
        local_endpoints(LocalSettings(home=tmp_path))


def test_second_process_waits_and_is_told(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from neardup.engines.state import exclusive\n"
        f"with exclusive(pathlib.Path({str(tmp_path / 'lock')!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        told = []

        def waiting() -> None:
            told.append(other.poll() is None)
            assert other.stdin is not None
            other.stdin.close()

        with exclusive(tmp_path / "lock", waiting=waiting):
            assert told == [True]


def test_lock_in_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="set NEARDUP_LOCAL__HOME"), exclusive(tmp_path / "file" / "lock"):
        pass
