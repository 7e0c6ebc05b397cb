"""Scores without a model."""

import numpy as np

from neardup.errors import ConfigError
from neardup.ports import Calibration
from neardup.types import PairBatch, Scores

__all__ = ["CosineScorer"]

_MODEL_VERSION = 1


class CosineScorer:
    """The port PairScorer: a logistic function of the cosine alone, 0.5 at `middle`."""

    def __init__(
        self, *, middle: float = 0.8, steepness: float = 20.0, match_threshold: float = 0.5, head_bound: float = 0.4
    ) -> None:
        self._middle = middle
        self._steepness = steepness
        self._calibration = Calibration(
            model_version=_MODEL_VERSION, match_threshold=match_threshold, witness_bound=0.5, head_bound=head_bound
        )

    def calibration(self, model_version: int) -> Calibration:
        if model_version != _MODEL_VERSION:
            raise ConfigError(f"model version {model_version} is not served, only {_MODEL_VERSION}")
        return self._calibration

    def score(self, batch: PairBatch) -> Scores:
        probes, candidates = batch.probes[batch.probe_of].astype(np.float32), batch.candidates.astype(np.float32)
        lengths = np.linalg.norm(probes, axis=1) * np.linalg.norm(candidates, axis=1)
        cosines = np.einsum("ij,ij->i", probes, candidates) / np.maximum(lengths, 1e-12)
        values = 1 / (1 + np.exp(-self._steepness * (cosines - self._middle)))
        return Scores(values=values.astype(np.float32), model_version=_MODEL_VERSION)
