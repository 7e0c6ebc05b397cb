"""How the supervisor tells what it is doing."""

from typing import Literal, Protocol

__all__ = ["EnginePhase", "Reporter", "SilentReporter"]

EnginePhase = Literal["preparing", "starting", "ready", "running", "stopping", "stopped"]
"""`ready`: started now and answering; `running`: it already was."""


class Reporter(Protocol):
    """Listener of `supervisor.up` and `supervisor.down`. Called from several threads."""

    def waiting(self) -> None:
        """Another command is at work in the same home; this one waits for it."""
        ...

    def download(self, group: str, done: int, total: int) -> None:
        """`done` of `total` bytes of an artifact group are in the cache. The last call has done == total."""
        ...

    def engine(self, name: str, phase: EnginePhase, seconds: float) -> None:
        """An engine reached a phase, `seconds` after the command began with it."""
        ...


class SilentReporter:
    """Says nothing."""

    def waiting(self) -> None: ...

    def download(self, group: str, done: int, total: int) -> None: ...

    def engine(self, name: str, phase: EnginePhase, seconds: float) -> None: ...
