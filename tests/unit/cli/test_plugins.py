"""Plug-ins of others: what they must have."""

from collections.abc import Callable
from typing import Any

import pytest

import neardup.cli.plugins
from neardup.cli.plugins import load_embedder
from neardup.errors import ConfigError
from neardup.settings import Settings
from neardup.testing import DigestEmbedder


class WithoutWords:
    """An embedder as they were before words."""

    version, lsh_dimension, score_dimension = "old", 8, 8

    def embed(self, data: bytes) -> Any:
        raise NotImplementedError


def brought(embedder: object) -> Callable[[str, str], Any]:
    def load(group: str, name: str) -> Any:
        def make(settings: Settings) -> object:
            return embedder

        return make

    return load


def test_an_embedder_must_say_how_many_words_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neardup.cli.plugins, "load_plugin", brought(WithoutWords()))
    with pytest.raises(ConfigError, match=r"^NEARDUP_EMBEDDER: 'acme' has no `words`, which every embedder needs$"):
        load_embedder("acme")
    monkeypatch.setattr(neardup.cli.plugins, "load_plugin", brought(DigestEmbedder()))
    assert load_embedder("acme").words == 0
