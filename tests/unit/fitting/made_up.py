"""Embeddings like those of networks: one direction that all share, few strong ones, copies that differ in some."""

import numpy as np

from neardup.fitting.fit import Rows
from neardup.types import Vector

DIMENSION = 48


def embeddings(images: int = 600, copies: int = 1, *, seed: int = 0) -> tuple[Vector, Rows]:
    """Originals and then their copies, (images * (1 + copies), DIMENSION), and the pairs (images * copies, 2)."""
    rng = np.random.default_rng(seed)
    strength = np.linspace(2.0, 0.2, DIMENSION)
    noisy = np.where(np.arange(DIMENSION) % 4 == 0, 0.8, 0.05)
    originals = 3.0 + rng.normal(size=(images, DIMENSION)) * strength
    made = [originals + rng.normal(size=originals.shape) * strength * noisy for _ in range(copies)]
    owner = np.tile(np.arange(images), copies)
    pairs = np.stack([owner, images + np.arange(images * copies)], axis=1)
    return np.concatenate([originals, *made]).astype(np.float32), pairs.astype(np.intp)
