"""What the scorer knows of a pair. Pure numpy; the ONNX graph of `scorer.network` computes the same.

All features are symmetrical: which image is the probe makes no difference.
"""

from typing import Final

import numpy as np

from neardup.types import PairBatch, Vector

__all__ = ["OVERLAP_SCALE", "cosine", "overlap_feature", "squared_differences"]

OVERLAP_SCALE: Final = 1 / 64


def squared_differences(batch: PairBatch) -> Vector:
    """Shape (n, dimension), float32."""
    difference = batch.probes - batch.candidates
    squared: Vector = difference * difference
    return squared


def cosine(batch: PairBatch) -> Vector:
    """Shape (n,), between -1 and 1; 0 when one embedding is all zeros."""
    products = np.einsum("ij,ij->i", batch.probes, batch.candidates)
    lengths = np.linalg.norm(batch.probes, axis=1) * np.linalg.norm(batch.candidates, axis=1)
    angle: Vector = (products / np.maximum(lengths, np.float32(1e-12))).astype(np.float32)
    return angle


def overlap_feature(batch: PairBatch) -> Vector:
    """Term overlap on a logarithmic scale, shape (n,): the first shared terms say most."""
    logarithm: Vector = np.log1p(batch.overlap.astype(np.float32) * np.float32(OVERLAP_SCALE * 8))
    return logarithm
