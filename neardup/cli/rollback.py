"""`neardup rollback`: undo decisions, by appending others."""

import getpass
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial

import click

from neardup.cli.asking import Asking, Said
from neardup.cli.output import json_option, print_json
from neardup.cli.sentences import sentence_of
from neardup.cli.wiring import opened
from neardup.clusters import ClusterState
from neardup.commands import in_words
from neardup.entries import Decision, Entry, NotMoved, Refused
from neardup.errors import UnknownImageError
from neardup.folding import read_all
from neardup.rollback import Plan, plan_back_to, plan_without
from neardup.types import ClusterId, ImageId

__all__ = ["rollback"]

_SHOWN = 20
_PATIENCE_SECONDS = 60.0
_PASSES = 5
"""Who came to stand for a cluster while others left it is moved by a further one."""


@click.command()
@click.option("--to", "to", help="Back to this seq, or to this time (2026-11-24T12:00:00+00:00).")
@click.option("--cluster", help="With --to: only what is in the cluster of this image, or was in it then.")
@click.option("--decision", type=int, help="Undo the decision with this seq.")
@click.option("--model-version", type=int, help="Undo what was decided with this version of the scorer's model.")
@click.option("--embedding-version", type=int, help="Undo what was decided about this version of images.")
@click.option("--dry-run", is_flag=True, help="Show what would move, and change nothing.")
@click.option("--reason", help="Why; it is written beside every entry.")
@click.option("--actor", default=getpass.getuser, help="Who does it; the login name unless given.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def rollback(  # noqa: PLR0917 - one for each option
    to: str | None,
    cluster: str | None,
    decision: int | None,
    model_version: int | None,
    embedding_version: int | None,
    dry_run: bool,
    reason: str | None,
    actor: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Take decisions back. Nothing is removed from the ledger: images are moved to where they were, with new entries.

    An image that was not decided then is the head of a cluster of its own, and listed to be processed again. What a
    person decided or said of an image since is kept, and listed, and so is who came along when clusters were merged or
    parted; what was erased stays erased. Each image moves only if nothing is decided about it meanwhile. Interrupted,
    give the same command again: with a seq the end is the same. A rollback can itself be rolled back.
    """
    from graph.kafka_log import KafkaLedger

    _check(to, cluster, decision, model_version, embedding_version)
    if not dry_run and not reason:
        raise click.UsageError("--reason: say why")
    with opened() as wiring:
        ledger = KafkaLedger(wiring.kafka, wiring.topics)
        try:
            entries = read_all(ledger)
            if to is not None:
                make = partial(plan_back_to, seq=_seq(to, entries), cluster=_cluster(cluster, entries))
            else:
                make = partial(plan_without, undo=_undoes(entries, decision, model_version, embedding_version))
            plan = make(entries)
            if not as_json:
                _print(plan)
            answers: list[Entry] = []
            left: list[Entry] = []
            if plan.commands and not dry_run:
                if not yes:
                    click.confirm(f"Move {len(plan.changes)} images?", abort=True)
                said = Said(actor=actor, reason=str(reason), timeout_seconds=_PATIENCE_SECONDS)
                answers, left = _carry_out(Asking(wiring, said), plan, lambda: make(read_all(ledger)), quiet=as_json)
        finally:
            ledger.close()
    if as_json:
        print_json(asdict(plan) | {"dry_run": dry_run, "not_done": [asdict(entry) for entry in left]})
        return
    for entry in left:
        click.echo(sentence_of(entry))
    if answers:
        click.echo(f"done: {dict(Counter(entry.kind for entry in answers))}")


def _check(
    to: str | None, cluster: str | None, decision: int | None, model_version: int | None, version: int | None
) -> None:
    if sum(value is not None for value in (to, decision, model_version, version)) != 1:
        raise click.UsageError("give one of --to, --decision, --model-version, --embedding-version")
    if cluster is not None and to is None:
        raise click.UsageError("--cluster goes with --to")


def _carry_out(
    orders: Asking, plan: Plan, again: Callable[[], Plan], *, quiet: bool
) -> tuple[list[Entry], list[Entry]]:
    """All answers, and those at last that say that something was not done. `again` plans anew."""
    answers: list[Entry] = []
    left: list[Entry] = []
    rest = plan
    try:
        for _ in range(_PASSES):
            before = len(answers)
            for number, body in enumerate(rest.commands, start=1):
                answers += orders.ask(body)
                if not quiet:
                    click.echo(f"{number} of {len(rest.commands)}: {in_words(body)}", err=True)
            left = [entry for entry in answers[before:] if isinstance(entry, NotMoved | Refused)]
            if not left or not (rest := again()).goes_on_with(plan):
                break
    finally:
        orders.close()
    return answers, left


def _undoes(
    entries: Sequence[Entry], seq: int | None, model_version: int | None, version: int | None
) -> Callable[[Decision], bool]:
    """Which decisions are to be undone."""
    if seq is not None:
        if not any(entry.seq == seq and isinstance(entry, Decision) for entry in entries):
            raise click.BadParameter(f"seq {seq} is not a decision of this ledger", param_hint="--decision")
        return lambda one: one.seq == seq
    if model_version is not None:
        return lambda one: one.evidence is not None and one.evidence.model_version == model_version
    return lambda one: one.version == version


def _print(plan: Plan) -> None:
    click.echo(f"{len(plan.changes)} images move, {len(plan.again)} of them to be processed again")
    for change in plan.changes[:_SHOWN]:
        where = "a cluster of its own" if change.to is None else f"cluster {change.to}"
        click.echo(f"  {change.image_id}: from cluster {change.cluster_id} to {where}")
    if len(plan.changes) > _SHOWN:
        click.echo(f"  … and {len(plan.changes) - _SHOWN} more (--json prints all)")
    if plan.kept:
        click.echo(f"{len(plan.kept)} images are kept:")
    for image_id, why in plan.kept[:_SHOWN]:
        click.echo(f"  {image_id}: {why}")


def _seq(to: str, entries: Sequence[Entry]) -> int:
    """A seq, or that of the last entry whose request was made at or before a time."""
    if to.isdigit():
        if int(to) > len(entries):
            raise click.BadParameter(f"seq {to} is beyond the end of the ledger, {len(entries)}", param_hint="--to")
        return int(to)
    try:
        at = datetime.fromisoformat(to)
    except ValueError:
        raise click.BadParameter(f"{to!r} is neither a seq nor a time", param_hint="--to") from None
    if at.tzinfo is None:
        raise click.BadParameter(f"{to!r} has no time zone", param_hint="--to")
    return max((entry.seq for entry in entries if entry.at_ms <= at.timestamp() * 1000), default=0)


def _cluster(name: str | None, entries: Sequence[Entry]) -> ClusterId | None:
    if name is None:
        return None
    state = ClusterState(entries)
    placement, info = state.placement(ImageId(name)), state.cluster(ClusterId(name))
    if placement is None and info is None:
        raise UnknownImageError(f"--cluster: {name!r} is neither an image nor a cluster of this namespace")
    return placement.cluster_id if placement is not None else info.cluster_id if info is not None else None
