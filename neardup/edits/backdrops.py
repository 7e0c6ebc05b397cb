"""Other pictures for edits that need some: what lies behind an inset, beside a collage's tile, under a blend."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final, Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from neardup.embedder.decode import decode

__all__ = ["DRAWN", "Backdrops", "DrawnBackdrops", "PictureBackdrops"]


class Backdrops(Protocol):
    """Where an edit gets other pictures from. The same randomness gives the same picture."""

    def picture(self, rng: Random, size: tuple[int, int]) -> Image.Image:
        """A picture in RGB of just that width and height."""
        ...


class DrawnBackdrops:
    """Busy scenes made up on the spot, so that nothing but the picture itself is needed."""

    def picture(self, rng: Random, size: tuple[int, int]) -> Image.Image:
        """Coloured clouds with shapes on them."""
        noise = np.random.default_rng(rng.getrandbits(32))
        clouds = np.zeros((96, 96, 3))
        for cells, weight in ((2, 1.0), (5, 0.6), (12, 0.35), (40, 0.2)):
            layer = Image.fromarray(noise.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            clouds += weight * np.asarray(layer.resize((96, 96), Image.Resampling.BICUBIC))
        clouds = (clouds - clouds.min()) / np.ptp(clouds) * 255
        scene = Image.fromarray(clouds.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(scene)
        for _ in range(rng.randint(12, 30)):
            x, y = rng.uniform(-0.1, 1) * size[0], rng.uniform(-0.1, 1) * size[1]
            across, down = (rng.uniform(0.03, 0.25) * side for side in size)
            colour = (rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255))
            shape = rng.choice((draw.ellipse, draw.rectangle))
            shape((x, y, x + across, y + down), colour if rng.random() < 0.7 else None, (30, 30, 30))
        return scene


class PictureBackdrops:
    """Pictures from files, cut to the wanted shape."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Raises ValueError without any file; unreadable ones raise InvalidImageError when their turn comes."""
        if not files:
            raise ValueError("no files to take backdrops from")
        self._files = tuple(sorted(files))

    def picture(self, rng: Random, size: tuple[int, int]) -> Image.Image:
        """One of the files, by chance, its middle."""
        return ImageOps.fit(_decoded(rng.choice(self._files)), size)


@lru_cache(32)
def _decoded(file: Path) -> Image.Image:
    return decode(file.read_bytes(), side=1024)


DRAWN: Final[Backdrops] = DrawnBackdrops()
