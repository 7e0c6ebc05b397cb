"""All five engines, in a home of this module: killed, moved, damaged, and back."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import urllib3
from gremlin_python.driver.client import Client
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from redis import Redis

from neardup.engines.endpoints import Endpoints, local_endpoints
from neardup.engines.state import read_state, write_state
from neardup.engines.supervisor import ENGINES, down, start, status, up, wipe
from neardup.errors import ConfigError
from neardup.settings import Settings, load_settings

pytestmark = pytest.mark.integration

NAMES = tuple(ENGINES)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    home = Path(tempfile.mkdtemp(prefix="neardup-engines-"))
    home.chmod(0o755)
    plain = load_settings()
    settings = plain.model_copy(update={"local": plain.local.model_copy(update={"home": home})})
    try:
        yield settings
    finally:
        down(settings, [])
        shutil.rmtree(home)


@pytest.fixture
def endpoints(settings: Settings) -> Endpoints:
    return up(settings)


def pids(settings: Settings) -> dict[str, int]:
    return {name: record.pid for name, record in read_state(settings.local.home).processes.items()}


def states(settings: Settings) -> dict[str, str]:
    return {one.name: one.state for one in status(settings)}


def pinned(settings: Settings, **ports: int) -> Settings:
    return settings.model_copy(update={"local": settings.local.model_copy(update=ports)})


def write_everywhere(endpoints: Endpoints) -> None:
    """Leave something in each engine that keeps data."""
    with urllib3.PoolManager() as http:
        document = f"{endpoints.opensearch_url}/kept/_doc/1?refresh=true"
        assert http.request("PUT", document, json={"word": "kept"}).status in {200, 201}
    admin = KafkaAdminClient(bootstrap_servers=endpoints.kafka_bootstrap)
    if "kept" not in admin.list_topics():
        admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=endpoints.kafka_bootstrap, max_request_size=8_000_000)
    producer.send("kept", b"kept" + b"." * 4_194_304, partition=0).get(timeout=10)
    producer.close()
    gremlin = Client(endpoints.janusgraph_url, "g")
    gremlin.submit("g.addV().iterate(); graph.tx().commit()").all().result()
    gremlin.close()
    with Redis.from_url(endpoints.redis_url) as redis:
        redis.set("kept", "kept")
        redis.execute_command("WAITAOF", 1, 0, 2000)


def check_everywhere(endpoints: Endpoints) -> None:
    """What `write_everywhere` left is there."""
    with urllib3.PoolManager() as http:
        assert http.request("GET", f"{endpoints.opensearch_url}/kept/_search").json()["hits"]["total"]["value"] == 1
    consumer = KafkaConsumer(bootstrap_servers=endpoints.kafka_bootstrap, group_id=None)
    assert consumer.end_offsets([TopicPartition("kept", 0)]) == {TopicPartition("kept", 0): 1}
    consumer.close()
    gremlin = Client(endpoints.janusgraph_url, "g")
    assert gremlin.submit("g.V().count()").all().result() == [1]
    gremlin.close()
    with Redis.from_url(endpoints.redis_url) as redis:
        assert redis.get("kept") == b"kept"


def test_life_of_the_engines(settings: Settings, endpoints: Endpoints) -> None:
    """Up, killed one by one, down, up again: data and ports stay, no process does not."""
    found = status(settings)
    assert [(one.name, one.state) for one in found] == [(name, "healthy") for name in NAMES]
    assert all(one.version and one.port and one.pid and one.rss_bytes for one in found)
    assert sum(one.rss_bytes or 0 for one in found) < 2.5 * 2**30
    write_everywhere(endpoints)

    for victim in NAMES:
        before = pids(settings)
        os.kill(before[victim], signal.SIGKILL)
        psutil.wait_procs([process for process in [_process(before[victim])] if process], timeout=10)
        assert states(settings) == dict.fromkeys(NAMES, "healthy") | {victim: "died"}
        assert up(settings) == endpoints
        after = pids(settings)
        assert after[victim] != before[victim]
        assert {**after, victim: 0} == {**before, victim: 0}, "only the victim was started"
    check_everywhere(endpoints)

    family = [member for pid in pids(settings).values() for member in _family(pid)]
    down(settings, [])
    assert [process for process in family if _lives(process)] == []
    assert states(settings) == dict.fromkeys(NAMES, "stopped")
    with pytest.raises(ConfigError, match="neardup engines up"):
        local_endpoints(settings.local)
    assert up(settings) == endpoints
    check_everywhere(endpoints)


def test_remembered_port_that_another_program_took(settings: Settings, endpoints: Endpoints) -> None:
    down(settings, ["redis"])
    old = int(endpoints.redis_url.rpartition(":")[2].partition("/")[0])
    with socket.socket() as other:
        other.bind(("127.0.0.1", old))
        other.listen()
        start(settings, ["redis"])
        assert local_endpoints(settings.local).redis_url != endpoints.redis_url
        assert states(settings)["redis"] == "healthy"


def test_pinned_port_that_is_busy(settings: Settings, endpoints: Endpoints) -> None:
    down(settings, ["redis"])
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"NEARDUP_LOCAL__REDIS_PORT: port {port} is in use by pid {os.getpid()}"):
            start(pinned(settings, redis_port=port), ["redis"])
    start(pinned(settings, redis_port=port), ["redis"])
    assert local_endpoints(settings.local).redis_url == f"redis://127.0.0.1:{port}/0"
    with pytest.raises(ConfigError, match=f"redis runs on port {port}, not on {port + 1}"):
        start(pinned(settings, redis_port=port + 1), ["redis"])


def test_stale_record_never_ends_a_foreign_process(settings: Settings, endpoints: Endpoints) -> None:
    down(settings, ["redis"])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as foreign:
        state = read_state(settings.local.home)
        record = state.processes["kafka"].model_copy(update={"pid": foreign.pid})
        write_state(settings.local.home, state.started("redis", record))
        assert states(settings)["redis"] == "died"
        down(settings, ["redis"])
        assert foreign.poll() is None
        foreign.communicate(b"\n")
    start(settings, ["redis"])


def test_two_commands_at_once(settings: Settings, endpoints: Endpoints) -> None:
    down(settings, ["redis"])
    code = "from neardup.cli.engines import engines; engines(['up', '--engine', 'redis'])"
    environment = {**os.environ, "NEARDUP_LOCAL__HOME": str(settings.local.home)}
    commands = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [command.communicate(timeout=60)[1] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], told
    assert "redis: ready" in "".join(told)
    assert "redis: running" in "".join(told)


def _damage_opensearch(data: Path) -> None:
    for file in data.rglob("_state/*"):
        file.write_bytes(b"damaged")


def _damage_kafka(data: Path) -> None:
    (data / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=77\n")


def _damage_janusgraph(data: Path) -> None:
    for file in data.glob("*.jdb"):
        file.write_bytes(b"damaged" * 1000)


def _damage_redis(data: Path) -> None:
    (data / "appendonlydir" / "appendonly.aof.manifest").write_text("damaged\n")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("opensearch", _damage_opensearch),
        ("kafka", _damage_kafka),
        ("janusgraph", _damage_janusgraph),
        ("redis", _damage_redis),
    ],
)
def test_damaged_data_are_explained_and_can_be_wiped(
    settings: Settings, endpoints: Endpoints, name: str, damage: Callable[[Path], None]
) -> None:
    with pytest.raises(ConfigError, match=f"{name}: running; first: neardup engines down"):
        wipe(settings, [name])
    down(settings, [name])
    damage(settings.local.home / name / "data")
    with pytest.raises(
        ConfigError, match=rf"(?s){name} ended while starting.*neardup engines wipe --engine {name} --yes"
    ):
        start(settings, [name])
    assert wipe(settings, [name]) == [settings.local.home / name / "data"]
    start(settings, [name])
    assert states(settings) == dict.fromkeys(NAMES, "healthy")


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: it is a line in a table, which only its parent, the system's first process, can remove."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
