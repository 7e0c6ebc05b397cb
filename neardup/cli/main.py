"""The command `neardup`: subcommands are imported when they are used, so that --help is fast."""

import importlib
import sys
from typing import Final

import click

from neardup import __version__
from neardup.errors import ConfigError, IncompatibleIndexError, NearDupError

__all__ = ["main"]

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 2
EXIT_INCOMPATIBLE: Final = 3

_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("neardup.cli.demo:demo", "See the whole path work on sample photos."),
    "engines": ("neardup.cli.engines:engines", "Run the engines on this machine."),
    "doctor": ("neardup.cli.engines:doctor", "Check this installation and say what to mend."),
    "setup": ("neardup.cli.setup:setup", "Create topics, index, graph schema and cache functions."),
    "worker": ("neardup.cli.worker:worker", "Run the ingest worker: all roles, or one."),
    "add": ("neardup.cli.add:add", "Embed image files and publish their embeddings."),
    "query": ("neardup.cli.lookup:query", "Was this image seen before, and what is similar to it?"),
    "head": ("neardup.cli.lookup:head", "The cluster head of an image."),
    "members": ("neardup.cli.lookup:members", "The members of a cluster, page by page."),
    "history": ("neardup.cli.history:history", "What the ledger says of an image or a cluster."),
    "watch": ("neardup.cli.watch:watch", "Follow who joins and leaves a cluster."),
    "explain": ("neardup.cli.explain:explain", "Why one image is a candidate of another, or why not."),
    "clusters": ("neardup.cli.clusters:clusters", "Clusters as a whole."),
    "force": ("neardup.cli.people:force", "Put an image into a cluster, where it stays."),
    "unforce": ("neardup.cli.people:unforce", "Let a forced image be decided again."),
    "verdict": ("neardup.cli.people:verdict", "Say that two images belong together, or do not."),
    "merge": ("neardup.cli.people:merge", "Make one cluster a part of another."),
    "unmerge": ("neardup.cli.people:unmerge", "Take a merge back."),
    "split": ("neardup.cli.people:split", "Move members of a cluster into a new one."),
    "promote": ("neardup.cli.people:promote", "Make an image the head of its cluster."),
    "quarantine": ("neardup.cli.people:quarantine", "Let a cluster take no new members by itself."),
    "erase": ("neardup.cli.people:erase", "Remove an image for good."),
    "index": ("neardup.cli.index:index", "The index: its state, and merging it."),
    "search-limits": ("neardup.cli.search_limits:search_limits", "How much of the search limit is in use."),
    "verify": ("neardup.cli.verify:verify", "Compare graph, index, cache and change feed with the ledger."),
    "rebuild": ("neardup.cli.rebuild:rebuild", "Make graph, index or cache again from the ledger."),
    "rollback": ("neardup.cli.rollback:rollback", "Take decisions back."),
    "recluster": ("neardup.cli.recluster:recluster", "Split one cluster by a stricter threshold."),
    "reprocess": ("neardup.cli.reprocess:reprocess", "Decide images again, as they are kept."),
    "dead-letters": ("neardup.cli.dead_letters:dead_letters", "Messages that could not be processed; replaying them."),
    "incomplete": ("neardup.cli.incomplete:incomplete", "Images of which one embedding is missing."),
    "evaluate": ("neardup.cli.evaluate:evaluate", "How good the clusters of known pictures are."),
    "edits": ("neardup.cli.evaluate:edits", "Make edited copies of pictures, for an evaluation."),
    "fit": ("neardup.cli.fit:fit_command", "Fit an LSH model to embeddings of your own."),
    "calibrate": ("neardup.cli.calibrate:calibrate", "Choose the match threshold from known pictures."),
    "models": ("neardup.cli.models:models", "Export the scorer's model for TensorFlow Serving."),
    "train": ("neardup.cli.train:train", "Train the embedder's whitening and the scorer from images."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="neardup")
def cli() -> None:
    """Near-duplicate image clusters in near real time.

    Start with: neardup demo
    """


def main() -> None:
    """Run the command line; errors of this project become one line and an exit code."""
    try:
        cli()
    except NearDupError as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(_exit_code(exc))


def _exit_code(error: NearDupError) -> int:
    if isinstance(error, ConfigError):
        return EXIT_CONFIG
    return EXIT_INCOMPATIBLE if isinstance(error, IncompatibleIndexError) else EXIT_FAILED
