"""Plug-ins by entry point: another wheel can bring an embedder, a candidate search or a scorer."""

from importlib.metadata import entry_points
from typing import Any

from neardup.errors import ConfigError
from neardup.ports import Embedder

__all__ = ["load_embedder", "load_plugin"]

_EMBEDDER = ("version", "lsh_dimension", "words", "score_dimension", "embed")


def load_plugin(group: str, name: str) -> Any:
    """The object behind an entry point. Raises ConfigError naming the choices."""
    found = entry_points(group=group)
    if name not in found.names:
        choices = ", ".join(sorted(found.names)) or "none installed"
        raise ConfigError(f"no plug-in {name!r} in the group {group} (there are: {choices})")
    return found[name].load()


def load_embedder(name: str) -> Embedder:
    """An embedder, ready to use. Raises ConfigError when there is none of this name, or when it lacks something."""
    from neardup.settings import load_settings

    embedder: Embedder = load_plugin("neardup.embedders", name)(load_settings())
    if missing := [wanted for wanted in _EMBEDDER if not hasattr(embedder, wanted)]:
        raise ConfigError(f"NEARDUP_EMBEDDER: {name!r} has no `{missing[0]}`, which every embedder needs")
    return embedder
