"""Where the local engines listen."""

from dataclasses import dataclass

from neardup.engines.state import read_state
from neardup.errors import ConfigError
from neardup.settings import LocalSettings

__all__ = ["Endpoints", "local_endpoints"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The addresses of the five engines, in the form in which the settings take them."""

    opensearch_url: str
    kafka_bootstrap: str
    janusgraph_url: str
    redis_url: str
    scorer_endpoint: str


def local_endpoints(local: LocalSettings) -> Endpoints:
    """The endpoints of the engines that `neardup engines up` started in this home.

    Reads the state file only. Raises ConfigError unless all five have been started.
    """
    processes = read_state(local.home).processes
    try:
        port = {name: processes[name].port for name in ("opensearch", "kafka", "janusgraph", "redis", "scorer")}
    except KeyError as exc:
        raise ConfigError("the local engines are not running; start them with: neardup engines up") from exc
    return Endpoints(
        opensearch_url=f"http://127.0.0.1:{port['opensearch']}",
        kafka_bootstrap=f"127.0.0.1:{port['kafka']}",
        janusgraph_url=f"ws://127.0.0.1:{port['janusgraph']}/gremlin",
        redis_url=f"redis://127.0.0.1:{port['redis']}/0",
        scorer_endpoint=f"127.0.0.1:{port['scorer']}",
    )
