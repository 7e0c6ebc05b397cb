"""`neardup engines …` and `neardup doctor`: the local engines from the command line."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from neardup.engines.supervisor import EngineStatus
    from neardup.settings import Settings

__all__ = ["doctor", "engines"]

_engine_option = click.option("--engine", "names", multiple=True, metavar="NAME", help="Only this one; repeatable.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def _errors_exit_2() -> Iterator[None]:
    """An operator's error is one message on stderr and exit code 2, not a traceback."""
    from neardup.errors import ConfigError

    try:
        yield
    except ConfigError as exc:
        click.echo(f"neardup: {exc}", err=True)
        raise SystemExit(2) from exc


@contextmanager
def _settings() -> "Iterator[Settings]":
    from neardup.settings import load_settings

    with _errors_exit_2():
        yield load_settings()


@click.group()
def engines() -> None:
    """The local engines: OpenSearch, Kafka, JanusGraph, Redis and the PredictionService.

    Names: opensearch, kafka, janusgraph, redis, scorer.
    """


@engines.command()
@_engine_option
@_json_option
def up(names: tuple[str, ...], *, as_json: bool) -> None:
    """Download what is missing, start what does not run, wait until all answer."""
    from neardup.engines.progress import shown
    from neardup.engines.state import read_state
    from neardup.engines.supervisor import start

    with _settings() as settings:
        begun = time.monotonic()
        with shown() as reporter:
            start(settings, names, reporter=reporter)
        ports = {name: record.port for name, record in read_state(settings.local.home).processes.items()}
        seconds = round(time.monotonic() - begun, 1)
        if as_json:
            _print_json({"home": str(settings.local.home), "ports": ports, "seconds": seconds})
        else:
            click.echo(f"The engines are up ({seconds} s). Next: neardup engines status, neardup demo")


@engines.command()
@_engine_option
@_json_option
def down(names: tuple[str, ...], *, as_json: bool) -> None:
    """Stop the engines and everything they started; data stay."""
    from neardup.engines.progress import shown
    from neardup.engines.supervisor import down as take_down

    with _settings() as settings:
        begun = time.monotonic()
        with shown() as reporter:
            take_down(settings, names, reporter=reporter)
        seconds = round(time.monotonic() - begun, 1)
        if as_json:
            _print_json({"home": str(settings.local.home), "seconds": seconds})
        else:
            click.echo(f"Stopped ({seconds} s). Data stay in {settings.local.home}")


@engines.command()
@_engine_option
@_json_option
def status(names: tuple[str, ...], *, as_json: bool) -> None:
    """Check each engine by a real operation. Exit code 1 unless all are healthy."""
    from neardup.engines.supervisor import status as check

    with _settings() as settings:
        found = check(settings, names)
        if as_json:
            _print_json([asdict(one) for one in found])
        else:
            _print_table(found)
    if any(one.state != "healthy" for one in found):
        sys.exit(1)


@engines.command()
@click.argument("name", required=False)
@click.option("-n", "lines", default=50, show_default=True, type=click.IntRange(1), help="Lines of each log.")
@click.option("--follow", is_flag=True, help="Go on printing what is written, until Ctrl-C.")
@_json_option
def logs(name: str | None, lines: int, *, follow: bool, as_json: bool) -> None:
    """Print the end of the log of one engine, or of all."""
    from neardup.engines.logs import log_file, tail
    from neardup.engines.supervisor import select

    with _settings() as settings:
        files = {engine.name: log_file(settings.local.home, engine.name) for engine in select([name] if name else [])}
    if as_json:
        _print_json({engine: list(tail(log, lines)) for engine, log in files.items()})
        return
    prefixed = {"" if name else f"{engine}: ": log for engine, log in files.items()}
    for prefix, log in prefixed.items():
        for line in tail(log, lines):
            click.echo(f"{prefix}{line}")
    if follow:
        _follow(prefixed)


@engines.command()
@_engine_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json_option
def wipe(names: tuple[str, ...], *, yes: bool, as_json: bool) -> None:
    """Delete the data of engines that are stopped. Refuses while one of them runs; downloads stay."""
    from neardup.engines.supervisor import select
    from neardup.engines.supervisor import wipe as delete

    with _settings() as settings:
        chosen = ", ".join(engine.name for engine in select(names))
        if not yes:
            click.confirm(f"Delete all data of {chosen} in {settings.local.home}?", abort=True, err=True)
        folders = [str(folder) for folder in delete(settings, names)]
        if as_json:
            _print_json({"deleted": folders})
        else:
            click.echo("\n".join(f"Deleted {folder}" for folder in folders) or "Nothing to delete.")


@click.command()
@_json_option
def doctor(*, as_json: bool) -> None:
    """Check this machine, the settings and the engines; say what to do about each problem.

    Exit code 1 when a check fails; warnings do not count.
    """
    from neardup.cli.namespace_check import namespace
    from neardup.engines.doctor import CHECKS, examine

    with _settings() as settings:
        findings = examine(settings, (*CHECKS, namespace))
    if as_json:
        _print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.secho(
                f"{finding.level:4}", nl=False, fg={"OK": "green", "WARN": "yellow", "FAIL": "red"}[finding.level]
            )
            click.echo(f"  {finding.name}: {finding.found}")
            if finding.remedy:
                click.echo(f"      -> {finding.remedy}")
    if any(finding.level == "FAIL" for finding in findings):
        sys.exit(1)


def _follow(logs_by_prefix: dict[str, Path]) -> None:
    """Print what is appended to these logs; begins again at the start of a log that was put aside."""
    at = {log: log.stat().st_size if log.exists() else 0 for log in logs_by_prefix.values()}
    try:
        while True:
            for prefix, log in logs_by_prefix.items():
                size = log.stat().st_size if log.exists() else 0
                if size < at[log]:
                    at[log] = 0
                if size > at[log]:
                    with log.open("rb") as file:
                        file.seek(at[log])
                        written = file.read()
                    whole = written[: written.rfind(b"\n") + 1]
                    at[log] += len(whole)
                    for line in whole.decode("utf-8", errors="replace").splitlines():
                        click.echo(f"{prefix}{line}")
            time.sleep(0.3)
    except KeyboardInterrupt:
        click.echo()


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def _print_table(found: "list[EngineStatus]") -> None:
    click.echo(f"{'engine':<11} {'state':<8} {'version':<8} {'port':>5} {'pid':>7} {'memory':>8}")
    for one in found:
        memory = f"{one.rss_bytes / 2**20:.0f} MB" if one.rss_bytes else "-"
        port, pid = one.port or "-", one.pid or "-"
        click.echo(f"{one.name:<11} {one.state:<8} {one.version or '-':<8} {port:>5} {pid:>7} {memory:>8}")
    total = sum(one.rss_bytes or 0 for one in found)
    click.echo(f"{'all':<43} {total / 2**20:>6.0f} MB")
    for one in found:
        if one.detail:
            click.echo(f"{one.name}: {one.detail}")
