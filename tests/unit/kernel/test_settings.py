from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from neardup.errors import ConfigError
from neardup.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("NEARDUP_"):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    settings = load_settings()
    assert (settings.namespace, settings.lsh.tables, settings.lsh.bits_per_table) == ("neardup", None, 12)
    assert settings.kafka.bootstrap_servers is None
    assert settings.assign.window > settings.ingest.backlog_limit


@pytest.mark.parametrize(
    ("variable", "value", "path"),
    [
        ("NEARDUP_NAMESPACE", "shop", "namespace"),
        ("NEARDUP_LSH__TABLES", "32", "lsh.tables"),
        ("NEARDUP_KAFKA__BOOTSTRAP_SERVERS", "a:1,b:2", "kafka.bootstrap_servers"),
        ("NEARDUP_INGEST__GRACE_SECONDS", "1.5", "ingest.grace_seconds"),
        ("NEARDUP_LOCAL__HOME", "/srv/n", "local.home"),
        ("neardup_lsh__seed", "7", "lsh.seed"),
    ],
)
def test_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, path: str) -> None:
    monkeypatch.setenv(variable, value)
    found: object = load_settings()
    for part in path.split("."):
        found = getattr(found, part)
    assert str(found) == value


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("NEARDUP_NAMESPACE", "Shop", "should match pattern"),
        ("NEARDUP_NAMESPACE", "a" * 41, "should match pattern"),
        ("NEARDUP_NAMESPACE", "", "should match pattern"),
        ("NEARDUP_NAMESPACE", "a-b", "should match pattern"),
        ("NEARDUP_LSH__TABLES", "0", "greater than or equal to 1"),
        ("NEARDUP_LSH__TABLES", "513", "less than or equal to 512"),
        ("NEARDUP_LSH__TABLES", "many", "valid integer"),
        ("NEARDUP_LSH__BITS_PER_TABLE", "17", "less than or equal to 16"),
        ("NEARDUP_LSH__SEED", "-1", "greater than or equal to 0"),
        ("NEARDUP_SEARCH__CANDIDATE_LIMIT", "10001", "less than or equal to 10000"),
        ("NEARDUP_SEARCH__PROBES", "5", "less than or equal to 4"),
        ("NEARDUP_SEARCH__MINIMUM_OVERLAP", "0", "greater than or equal to 1"),
        ("NEARDUP_SEARCH__LIMIT_PER_SECOND", "2", "greater than or equal to 3"),
        ("NEARDUP_SEARCH__INTERACTIVE_SHARE", "1", "less than 1"),
        ("NEARDUP_SEARCH__REPROCESS_SHARE", "0.8", "leave nothing for ingest"),
        ("NEARDUP_SEARCH__LIMIT_PROCESSES", "0", "greater than or equal to 1"),
        ("NEARDUP_INGEST__GRACE_SECONDS", "0", "greater than 0"),
        ("NEARDUP_INGEST__BATCH_IMAGES", "1001", "less than or equal to 1000"),
        ("NEARDUP_ASSIGN__WINDOW", "99", "greater than or equal to 100"),
        ("NEARDUP_ASSIGN__SESSION_TIMEOUT_MS", "999", "greater than or equal to 1000"),
        ("NEARDUP_KAFKA__PARTITIONS", "0", "greater than or equal to 1"),
        ("NEARDUP_OPENSEARCH__TIMEOUT_SECONDS", "0", "greater than 0"),
        ("NEARDUP_SCORER__BATCH_ROWS", "65537", "less than or equal to 65536"),
        ("NEARDUP_REDIS__TTL_SECONDS", "0", "greater than or equal to 1"),
        ("NEARDUP_LOCAL__REDIS_PORT", "65536", "less than or equal to 65535"),
    ],
)
def test_a_wrong_value_names_variable_and_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{variable}: ")
    assert problem in str(caught.value)
    assert f"(given: {value!r})" in str(caught.value)


def test_lanes_come_from_the_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_SEARCH__LIMIT_PER_SECOND", "500")
    monkeypatch.setenv("NEARDUP_SEARCH__INTERACTIVE_SHARE", "0.5")
    lanes = load_settings().search.lanes
    assert (lanes.ingest, lanes.interactive, lanes.reprocess, lanes.processes) == (150, 250, 100, 4)


def test_a_share_that_is_too_large_names_both_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_SEARCH__INTERACTIVE_SHARE", "0.9")
    expected = "interactive_share 0.9 and reprocess_share 0.2 leave nothing for ingest"
    with pytest.raises(ConfigError, match=f"NEARDUP_SEARCH__REPROCESS_SHARE: .*{expected}"):
        load_settings()


def test_every_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_NAMESPACE", "X")
    monkeypatch.setenv("NEARDUP_LSH__TABLES", "x")
    with pytest.raises(ConfigError, match=r"NEARDUP_NAMESPACE: .*; NEARDUP_LSH__TABLES: "):
        load_settings()


def test_an_unknown_variable_of_a_group_is_an_error_that_keeps_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_KAFKA__SASL_PASWORD", "hunter2")
    with pytest.raises(ConfigError, match="NEARDUP_KAFKA__SASL_PASWORD: ") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_group_that_is_no_json_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARDUP_KAFKA", "broker:9092")
    with pytest.raises(ConfigError, match=r"kafka.*JSON"):
        load_settings()


def test_variables_of_other_programs_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no setting of any group is not an error here: `neardup doctor` warns of it."""
    monkeypatch.setenv("NEARDUP_TEST_HOME", "/tmp/x")
    assert load_settings().namespace == "neardup"


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NEARDUP_KAFKA__SASL_PASSWORD", "NEARDUP_OPENSEARCH__PASSWORD", "NEARDUP_REDIS__URL"):
        monkeypatch.setenv(variable, "hunter2")
    settings = load_settings()
    assert "hunter2" not in repr(settings) + settings.model_dump_json()
    assert settings.redis.url is not None
    assert settings.redis.url.get_secret_value() == "hunter2"


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.namespace = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        settings.lsh.tables = 3  # type: ignore[misc]


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Settings(namspace="x")  # type: ignore[call-arg]


def groups(model: type[BaseModel]) -> list[type[BaseModel]]:
    annotations = [field.annotation for field in model.model_fields.values()]
    return [cls for cls in annotations if isinstance(cls, type) and issubclass(cls, BaseModel)]


def test_every_setting_says_what_it_is_for() -> None:
    for group in groups(Settings):
        assert group.__doc__
        assert [name for name, field in group.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(("user", "home"), [(0, "/var/lib/neardup"), (1000, "/data/neardup")])
def test_homes(monkeypatch: pytest.MonkeyPatch, user: int, home: str) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert load_settings().local.home == Path(home)
