import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from neardup.cli import wiring
from neardup.cli.main import cli
from neardup.lanes import LANES, LaneState


@dataclass
class Ports:
    search_limiter: "Limiter"


@dataclass
class Limiter:
    shared: bool = True

    def state(self) -> tuple[LaneState, ...]:
        used = 3 if self.shared else None
        return tuple(LaneState(lane=lane, limit=40, used=used, share=10, shared=self.shared) for lane in LANES)


@pytest.fixture
def limiter(monkeypatch: pytest.MonkeyPatch) -> Limiter:
    limiter = Limiter()

    @contextmanager
    def opened() -> Iterator[Ports]:
        yield Ports(limiter)

    monkeypatch.setattr(wiring, "opened", opened)
    return limiter


def test_the_lanes_in_a_table(limiter: Limiter) -> None:
    result = CliRunner().invoke(cli, ["search-limits"], catch_exceptions=False)
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [[lane, "40", "3", "10"] for lane in LANES]
    assert result.stderr == ""


def test_the_lanes_as_json(limiter: Limiter) -> None:
    answer = json.loads(CliRunner().invoke(cli, ["search-limits", "--json"]).stdout)
    assert answer["shared"] is True
    assert answer["lanes"][1] == {
        "lane": "interactive",
        "limit_per_second": 40,
        "used_last_second": 3,
        "share_without_redis": 10,
    }


def test_without_redis_it_says_so(limiter: Limiter) -> None:
    limiter.shared = False
    result = CliRunner().invoke(cli, ["search-limits"])
    assert "Redis is away" in result.stderr
    assert result.stdout.splitlines()[1].split() == ["ingest", "40", "?", "10"]
    answer = json.loads(CliRunner().invoke(cli, ["search-limits", "--json"]).stdout)
    assert (answer["shared"], answer["lanes"][0]["used_last_second"]) == (False, None)
