"""What the supervisor knows of an engine: how to prepare and start it, and how to see that it works."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from neardup.engines.processes import Launch
from neardup.settings import Settings

__all__ = ["Engine", "Site"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where one engine lives. `folder` holds its configuration, log and, in `data`, what it must not lose. `ports` by
    purpose; its main port has the purpose "" (the empty string)."""

    folder: Path
    cache: Path
    ports: Mapping[str, int]
    settings: Settings

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.ports[""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine.

    `version`: of the pinned files, None when only the running engine knows it. `lock`: whether it is made of artifacts
    (locks/NAME.lock). `purposes`: its further ports. `prepare` writes its configuration and says how to start it
    (raises ConfigError). `probe` does one real operation and returns the version that answered (raises
    UnavailableError; may take seconds). `patience_seconds`: how long it may take to end by itself.
    """

    name: str
    version: str | None
    lock: bool
    purposes: tuple[str, ...] = ()
    prepare: Callable[[Site], Launch]
    probe: Callable[[Site], str]
    patience_seconds: float = 60.0
