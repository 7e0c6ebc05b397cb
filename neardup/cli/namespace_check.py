"""A check of `neardup doctor`: are topics, index, graph schema and cache functions of the namespace as they must be?"""

from collections.abc import Iterable

from neardup.cli.wiring import Wiring
from neardup.engines.doctor import Finding
from neardup.errors import ConfigError
from neardup.settings import Settings

__all__ = ["namespace"]


def namespace(settings: Settings) -> Iterable[Finding]:
    """What `neardup setup` would change, and how much waits to be processed."""
    try:
        wiring = Wiring(settings)
    except ConfigError as exc:
        yield Finding(name="namespace", level="WARN", found=f"not checked: {exc}", remedy="neardup engines up")
        return
    try:
        missing = wiring.setup(dry_run=True)
        if missing:
            found = f"{settings.namespace}: {len(missing)} things to set up, first: {missing[0]}"
            yield Finding(name="namespace", level="WARN", found=found, remedy="neardup setup")
            return
        yield Finding(name="namespace", level="OK", found=f"{settings.namespace}: everything is set up")
        yield from _waiting(wiring)
    finally:
        wiring.close()


def _waiting(wiring: Wiring) -> Iterable[Finding]:
    from neardup.backlog import BacklogReader

    reader = BacklogReader(wiring.kafka, wiring.topics)
    backlog = reader.read()
    dead = reader.written(wiring.topics.dead_letters)
    reader.close()
    if backlog.total:
        found = f"{backlog.embeddings} embeddings, {backlog.images} images, {backlog.proposals} proposals wait"
        yield Finding(name="backlog", level="WARN", found=found, remedy="is a worker running? neardup worker")
    else:
        yield Finding(name="backlog", level="OK", found="nothing waits before the ledger")
    if dead:
        found, remedy = f"{dead} messages", "neardup dead-letters list"
        yield Finding(name="dead letters", level="WARN", found=found, remedy=remedy)
