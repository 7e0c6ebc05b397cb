"""What is remembered of the local engines between two commands: `engines.json` in the home, and its file lock."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neardup.errors import ConfigError

__all__ = ["ProcessRecord", "State", "exclusive", "read_state", "write_state"]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProcessRecord(_Stored):
    """A started engine. `created`: seconds since the epoch, as psutil gives it; with `command` it tells this process
    from another one that got the same pid later."""

    pid: int = Field(gt=0)
    created: float
    command: tuple[str, ...]
    port: int


class State(_Stored):
    """`ports`: those last used, by "engine" or "engine.purpose". `processes`: those started and not taken down."""

    ports: Mapping[str, int] = {}
    processes: Mapping[str, ProcessRecord] = {}

    def started(self, name: str, record: ProcessRecord) -> "State":
        """This state after an engine was started."""
        return State(ports=self.ports, processes={**self.processes, name: record})

    def stopped(self, name: str) -> "State":
        """This state after an engine ended; its ports stay remembered."""
        return State(ports=self.ports, processes={k: v for k, v in self.processes.items() if k != name})


def state_file(home: Path) -> Path:
    return home / "engines.json"


def read_state(home: Path) -> State:
    """The state of a home, empty when there is none. Raises ConfigError when the file cannot be read."""
    path = state_file(home)
    try:
        return State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return State()
    except PermissionError as exc:
        raise ConfigError(f"{path}: not readable by this user; set NEARDUP_LOCAL__HOME to a folder of yours") from exc
    except ValidationError as exc:
        raise ConfigError(f"{path} is damaged; end the engines by hand if any run, then delete this file") from exc


def write_state(home: Path, state: State) -> None:
    """Replace the state of a home at once: a reader sees the old or the new one."""
    draft = state_file(home).with_suffix(".tmp")
    draft.write_text(state.model_dump_json(indent=2))
    draft.replace(state_file(home))


@contextmanager
def exclusive(lock: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a file lock, waiting for the process that has it; `waiting` is called once when that is necessary.

    Raises ConfigError when this user cannot write there.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise ConfigError(
            f"{lock.parent}: {exc.strerror}; set NEARDUP_LOCAL__HOME and NEARDUP_LOCAL__CACHE to folders of yours"
        ) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
