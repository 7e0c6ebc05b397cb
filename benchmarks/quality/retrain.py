"""Weights made without one source, by the commands that make the shipped ones."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["train_without"]


def train_without(folder: Path, folders: Sequence[Path], cache: Path, out: Path, at_most: int) -> tuple[Path, Path]:
    """The whitening's file and the folder of scorers, trained on all `folders` but this one."""
    kept = [str(other) for other in folders if other != folder]
    whitening, scorers = out / "whitening.npz", out / "scorers"
    shared = ("--cache", str(cache), "--at-most", str(at_most))
    _neardup("train", "embedder", *kept, *shared, "--output", str(whitening))
    _neardup(
        "train", "scorer", *kept, *shared, "--whitening", str(whitening), "--output", str(scorers), "--version", "1"
    )
    return whitening, scorers


def _neardup(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "neardup", *arguments], check=True, stdout=subprocess.DEVNULL)
