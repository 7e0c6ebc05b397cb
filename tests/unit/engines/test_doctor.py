from collections.abc import Iterable
from pathlib import Path

import pytest

from neardup.engines.doctor import CHECKS, Finding, configuration, downloads, examine, folders
from neardup.errors import ConfigError
from neardup.settings import LocalSettings, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(local=LocalSettings(home=tmp_path / "home", cache=tmp_path / "cache"))


def test_every_check_runs_on_an_empty_machine(settings: Settings) -> None:
    findings = examine(settings, CHECKS)
    assert {"python", "java", "memory", "opensearch", "scorer", "downloads kafka"} <= {f.name for f in findings}
    assert all(finding.remedy for finding in findings if finding.level != "OK")
    assert {f.level for f in findings if f.name in {"opensearch", "downloads kafka"}} == {"WARN"}


def test_misspelt_setting_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_KAFAK__PARTITIONS", "3")
    (finding,) = configuration(settings)
    assert (finding.level, finding.found) == ("WARN", "no such setting: NEARDUP_KAFAK__PARTITIONS")


def test_altered_download_is_named(settings: Settings) -> None:
    from neardup.engines.artifacts import load_lock

    altered = min(load_lock("kafka"), key=lambda artifact: artifact.size)
    altered.cached(settings.local.cache).parent.mkdir(parents=True)
    altered.cached(settings.local.cache).write_bytes(b"x" * altered.size)
    (finding,) = [f for f in downloads(settings) if f.level == "FAIL"]
    assert str(altered.cached(settings.local.cache)) in finding.remedy


def test_home_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(local=LocalSettings(home=tmp_path / "file" / "home", cache=tmp_path))
    assert [f.level for f in folders(settings)] == ["FAIL", "OK"]


def test_error_in_a_check_is_a_finding(settings: Settings) -> None:
    def broken(_: Settings) -> Iterable[Finding]:
        raise ConfigError("no luck")

    def fine(_: Settings) -> Iterable[Finding]:
        yield Finding(name="fine", level="OK", found="yes")

    assert [(f.name, f.level, f.found) for f in examine(settings, (broken, fine))] == [
        ("broken", "FAIL", "no luck"),
        ("fine", "OK", "yes"),
    ]
