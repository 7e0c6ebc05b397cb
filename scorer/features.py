"""What the scorer knows of a pair. Pure numpy; `scorer.network` as ONNX and `scorer.keras_network` compute the same.

A score embedding is the content, of any dimension, and after it the signs of `neardup.embedder.signs`. All features are
symmetrical: which image is the probe makes no difference.
"""

from typing import Final

import numpy as np

from neardup.embedder.signs import MIRRORED, SIGNS
from neardup.types import PairBatch, Vector

__all__ = ["OVERLAP_SCALE", "agreement", "cosine", "overlap_feature", "squared_differences"]

OVERLAP_SCALE: Final = 1 / 64


def squared_differences(batch: PairBatch) -> Vector:
    """Of the content, shape (n, dimension), float32."""
    difference = _content(batch.probes) - _content(batch.candidates)
    squared: Vector = difference * difference
    return squared


def cosine(batch: PairBatch) -> Vector:
    """Of the content, shape (n,), between -1 and 1; 0 when one is all zeros."""
    probes, candidates = _content(batch.probes), _content(batch.candidates)
    products = np.einsum("ij,ij->i", probes, candidates)
    lengths = np.linalg.norm(probes, axis=1) * np.linalg.norm(candidates, axis=1)
    angle: Vector = (products / np.maximum(lengths, np.float32(1e-12))).astype(np.float32)
    return angle


def agreement(batch: PairBatch, weights: Vector) -> Vector:
    """How well the signs agree, straight or mirrored, whichever fits better: shape (n, k), between -1 and 1.

    `weights`: of each sign in each of k weighings, not negative, of sum 1: shape (SIGNS, k).
    """
    products = batch.probes[:, -SIGNS:] * batch.candidates[:, -SIGNS:]
    both_ways = products[:, ~MIRRORED] @ weights[~MIRRORED]
    one_way = np.abs(products[:, MIRRORED] @ weights[MIRRORED])
    agreed: Vector = (both_ways + one_way).astype(np.float32)
    return agreed


def overlap_feature(batch: PairBatch) -> Vector:
    """Term overlap on a logarithmic scale, shape (n,): the first shared terms say most."""
    logarithm: Vector = np.log1p(batch.overlap.astype(np.float32) * np.float32(OVERLAP_SCALE * 8))
    return logarithm


def _content(embeddings: Vector) -> Vector:
    return embeddings[:, :-SIGNS]
