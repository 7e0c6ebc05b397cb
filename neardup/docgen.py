"""Writes docs/settings.md from the settings and docs/cli.md from the commands: python -m neardup.docgen [--check]."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from neardup.cli.main import cli
from neardup.settings import Settings

__all__ = ["commands_page", "main", "settings_page"]

_GENERATED: Final = "<!-- Written by `python -m neardup.docgen`. Do not edit. -->\n"

_SYMBOLIC: Final = {
    "NEARDUP_LOCAL__HOME": "as root `/var/lib/neardup`, else `$XDG_DATA_HOME/neardup` or `~/.local/share/neardup`",
    "NEARDUP_LOCAL__CACHE": "as root `/var/cache/neardup`, else `$XDG_CACHE_HOME/neardup` or `~/.cache/neardup`",
}
"""Defaults that depend on the user."""

_SETTINGS_INTRO: Final = """
# Settings

Settings are environment variables. Groups are joined by two underscores: `NEARDUP_LSH__TABLES`.
An empty address means the local engine that `neardup engines up` started.
A value that is not valid ends the command with exit code 2 and a line that names the variable.
`neardup doctor` names variables that start with `NEARDUP_` and are no setting.
"""

_COMMANDS_INTRO: Final = """
# Commands

Exit codes: 0 done; 1 failed, or a check found something wrong; 2 a setting, path or argument is wrong; 3 the index or
the ledger was made with another lsh_version or mapping. Errors are one message on standard error. Commands that have
`--json` print JSON on standard output and nothing else there.
"""


def settings_page() -> str:
    """The text of docs/settings.md."""
    fields = Settings.model_fields
    plain = {name: field for name, field in fields.items() if not _is_group(field)}
    parts = [_GENERATED, _SETTINGS_INTRO, "\n## General\n\n", _table(plain, prefix="NEARDUP_")]
    for name, field in fields.items():
        if _is_group(field):
            group: type[BaseModel] = field.annotation  # type: ignore[assignment]
            parts.append(f"\n## {name}\n\n{_sentence(group.__doc__)}\n\n")
            parts.append(_table(group.model_fields, prefix=f"NEARDUP_{name.upper()}__"))
    return "".join(parts)


def commands_page() -> str:
    """The text of docs/cli.md."""
    parts = [_GENERATED, _COMMANDS_INTRO]
    for path, text in _helps(cli, "neardup", None):
        parts.append(f"\n## {path}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _table(fields: dict[str, FieldInfo], *, prefix: str) -> str:
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        variable = f"{prefix}{name.upper()}"
        rows.append(f"| `{variable}` | {_type(field)} | {_default(variable, field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _type(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    metadata = list(field.metadata)
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    options = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) in {Union, UnionType} and len(options) == 1:
        annotation = options[0]
    if hasattr(annotation, "__metadata__"):
        metadata += [item for outer in annotation.__metadata__ for item in getattr(outer, "metadata", [outer])]
        annotation = get_args(annotation)[0]
    names = {
        str: "text",
        bool: "`true` or `false`",
        int: "integer",
        float: "number",
        Path: "path",
        SecretStr: "secret text",
    }
    return " ".join([names[annotation], *_bounds(metadata)])


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for item in metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if (bound := getattr(item, name, None)) is not None:
                yield f"{sign} {bound}"
        if (pattern := getattr(item, "pattern", None)) is not None:
            yield f"matching `{pattern}`"


def _default(variable: str, field: FieldInfo) -> str:
    if variable in _SYMBOLIC:
        return _SYMBOLIC[variable]
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return "empty" if field.default is None else f"`{field.default}`"


def _sentence(doc: str | None) -> str:
    return " ".join((doc or "").split())


def _helps(command: click.Command, path: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Each command with its help, in the order in which the help lists them."""
    # The width is fixed: a page must not depend on the terminal it was written in.
    name, settings = path.rpartition(" ")[2], {**command.context_settings, "max_content_width": 100}
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, **settings)
    yield path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            inner = command.get_command(context, child)
            assert inner is not None
            if not inner.hidden:
                yield from _helps(inner, f"{path} {child}", context)


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a page is out of step.")
@click.option(
    "--docs", type=click.Path(path_type=Path, file_okay=False, exists=True), default="docs", help="The folder of pages."
)
def main(*, check: bool, docs: Path) -> None:
    """Write the pages, or compare them with what would be written."""
    pages = {docs / "settings.md": settings_page(), docs / "cli.md": commands_page()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(pages[path], encoding="utf-8")
        click.echo(f"{path}: {'out of step; run: python -m neardup.docgen' if check else 'written'}")
    if check and stale:
        sys.exit(1)


if __name__ == "__main__":
    main()
