"""Models for tests: the shipped scorer under any number, and one of random numbers."""

from pathlib import Path

import numpy as np
import onnx

from neardup.embedder.signs import SIGNS
from scorer import calibration
from scorer.fusion import EVIDENCE
from scorer.layout import MODEL_FILE, new_version, newest_version, shipped_models
from scorer.network import KNOTS, UNITS, WEIGHINGS, Network, Sight
from scorer.onnx_network import network_of, save_graphs

__all__ = ["a_network", "copy_version"]


def copy_version(model_dir: Path, version: int, *, bias: float = 0.0) -> Path:
    """The shipped model as another version; `bias` is added to what is under the logistic function."""
    source = shipped_models() / str(newest_version(shipped_models()))
    network = network_of(onnx.load(source / MODEL_FILE))
    record = calibration.load(source).model_copy(update={"model_version": version})
    with new_version(model_dir, version) as folder:
        save_graphs(network.rescaled(1.0, bias), folder)
        calibration.save(record, folder)
    return model_dir / str(version)


def a_network(dimension: int = 24, *, seed: int = 1) -> Network:
    """Random numbers with the signs that training keeps to."""
    rng = np.random.default_rng(seed)
    weighed = rng.uniform(size=(SIGNS, WEIGHINGS))
    weights = np.concatenate([-rng.uniform(size=UNITS), rng.uniform(size=WEIGHINGS * KNOTS + 2)])
    numbers = {
        "metric": rng.uniform(size=(dimension, UNITS)),
        "offsets": rng.uniform(-2, 0, UNITS),
        "sign_weights": weighed / weighed.sum(axis=0),
        "knots": rng.uniform(-9, 0, WEIGHINGS * KNOTS),
        "weights": weights,
        "bias": rng.uniform(size=1),
    }
    trust = rng.uniform(size=EVIDENCE).astype(np.float32)
    sight = Sight(**{name: array.astype(np.float32) for name, array in numbers.items()})
    start, sure = rng.uniform(-3, 0, 1), rng.uniform(0, 2, 2)
    return Network(sight, trust, start.astype(np.float32), sure.astype(np.float32))
