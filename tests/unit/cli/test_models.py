"""`neardup models` where TensorFlow is not installed."""

import importlib.util
from pathlib import Path

import pytest
from click.testing import CliRunner

from neardup.cli.models import models
from neardup.errors import ConfigError


def test_the_export_says_what_it_needs(tmp_path: Path) -> None:
    assert importlib.util.find_spec("tensorflow") is None
    done = CliRunner().invoke(models, ["export", "--version", "1", "--to", str(tmp_path)])
    with pytest.raises(ConfigError, match=r"pip install neardup\[train\]"):
        raise done.exception or AssertionError(done.output)
    assert not list(tmp_path.iterdir())
