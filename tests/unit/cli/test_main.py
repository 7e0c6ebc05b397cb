import importlib
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from neardup import __version__
from neardup.cli import main as module
from neardup.cli.main import cli, main
from neardup.errors import (
    ConfigError,
    IncompatibleIndexError,
    InvalidImageError,
    NearDupError,
    RateLimitedError,
    SearchUnavailableError,
)
from neardup.supervisor import EXIT_CONFIG, EXIT_INCOMPATIBLE


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """Every command below a group, groups included."""
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, *path, name)
    return found


@pytest.mark.parametrize("path", [(), *commands(cli)], ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    summary = result.output.splitlines()[2].strip()
    assert len(summary) > 10


@pytest.mark.parametrize("path", [path for path in commands(cli) if path], ids=" ".join)
def test_every_command_that_prints_can_print_json(path: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    if not isinstance(command, click.Group):
        assert "--json" in [option for parameter in command.params for option in parameter.opts]


def test_the_list_of_commands_needs_no_import_of_them() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from neardup.cli.main import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        "heavy = {'numpy', 'kafka', 'opensearchpy', 'grpc', 'redis', 'gremlin_python', 'onnxruntime', 'PIL',\n"
        "         'pydantic', 'tensorflow', 'scipy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_summaries_are_those_of_the_list() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output
    for name, (target, summary) in module._COMMANDS.items():
        assert name in output
        assert " ".join(summary.split()[:3]) in output
        file, attribute = target.split(":")
        assert isinstance(getattr(importlib.import_module(file), attribute), click.Command)


def test_version() -> None:
    assert __version__ in CliRunner().invoke(cli, ["--version"]).output


def test_an_unknown_command_is_told() -> None:
    result = CliRunner().invoke(cli, ["explode"])
    assert (result.exit_code, "No such command 'explode'" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("port 9 is busy"), 2),
        (IncompatibleIndexError("lsh_version differs"), 3),
        (SearchUnavailableError("gone"), 1),
        (InvalidImageError("truncated"), 1),
        (RateLimitedError("search limit reached: retry after 0.12 s", retry_after_seconds=0.12), 1),
        (NearDupError("?"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_are_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: NearDupError, code: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(module, "cli", fail)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_the_supervisor_knows_the_same_codes() -> None:
    assert (module.EXIT_CONFIG, module.EXIT_INCOMPATIBLE) == (EXIT_CONFIG, EXIT_INCOMPATIBLE)


def test_a_wrong_setting_is_exit_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NEARDUP_LSH__TABLES", "none")
    monkeypatch.setattr(sys, "argv", ["neardup", "head", "x"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: NEARDUP_LSH__TABLES: ")
