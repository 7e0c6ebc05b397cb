"""A version of the scorer as a SavedModel, for TensorFlow Serving: the same numbers, the same order of computing.

Imports TensorFlow: only `neardup models export` imports this file.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf

from neardup.errors import ConfigError
from neardup.points.packing import BITS
from scorer import calibration
from scorer.layout import FIRST_SIGHT_FILE, MODEL_FILE, new_version, version_folder
from scorer.network import AFTER_CONTENT, LATER, Network, first_sight, logits
from scorer.onnx_network import network_of, save_graphs
from scorer.runtime import OnnxModel
from scorer.tensorflow_ops import TENSORFLOW
from scorer.wire import FIRST_SIGHT, INPUTS, OUTPUT, OVERLAP, PROMISING, SIGNATURE, Array

__all__ = ["TOLERANCE", "Exported", "export"]

TOLERANCE: Final = 1e-5
"""Largest difference between what the SavedModel gives and the ONNX graphs give."""


@dataclass(frozen=True, slots=True)
class Exported:
    """`folder`: of the version; `difference`: the largest one between both models, over `pairs` pairs."""

    folder: Path
    difference: float
    pairs: int


def export(models: Path, version: int, destination: Path) -> Exported:
    """Write a version of the folder `models` into the folder `destination`: SavedModel, ONNX graphs and calibration.

    A version of that number in `destination` is replaced, in one step and only when both give equal scores. Raises
    ConfigError when the version is not there, is not the scorer of this project, or the two differ.
    """
    source = version_folder(models, version)
    calibration.load(source)
    network = network_of(onnx.load(source / MODEL_FILE))
    with new_version(destination, version) as folder:
        shutil.copy2(source / calibration.CALIBRATION_FILE, folder)
        save_graphs(network, folder)
        _save(network, folder)
        # What is compared is what lies on the disk.
        difference, pairs = _difference(folder)
        if not difference <= TOLERANCE:
            raise ConfigError(f"version {version}: SavedModel and ONNX differ by {difference:.2g} > {TOLERANCE:g}")
    return Exported(destination / str(version), difference, pairs)


def _save(network: Network, folder: Path) -> None:
    def score(*pairs: Any) -> dict[str, Any]:
        return {OUTPUT: tf.sigmoid(logits(TENSORFLOW, network, *_in_groups(*pairs))[..., 0])}

    def seen(*pairs: Any) -> dict[str, Any]:
        found, promising = first_sight(TENSORFLOW, network, *_in_groups(*pairs))
        return {OUTPUT: tf.sigmoid(found[..., 0]), PROMISING: promising[..., 0]}

    width = len(network.sight.metric) + AFTER_CONTENT
    signatures = {SIGNATURE: _function(score, width), FIRST_SIGHT: _function(seen, width - LATER)}
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)


def _in_groups(probe: Any, candidate: Any, overlap: Any) -> tuple[Any, Any, Any]:
    """Pairs in groups, whose probe they share."""
    return probe[:, None], candidate, overlap[..., None]


def _function(compute: Callable[..., dict[str, Any]], width: int) -> Any:
    """Of score embeddings of that width."""
    shapes = ((tf.float16, [None, width]), (tf.float16, [None, None, width]), (tf.float32, [None, None]))
    inputs = [tf.TensorSpec(shape, kind, name=name) for name, (kind, shape) in zip(INPUTS, shapes, strict=True)]
    return tf.function(compute, input_signature=inputs)


def _difference(folder: Path) -> tuple[float, int]:
    """The largest difference of scores, and over how many pairs; infinite when one is no number, or when more than one
    pair in a thousand is promising to only one of them."""
    served = tf.saved_model.load(str(folder)).signatures
    whole, seen = (OnnxModel.load(folder / name) for name in (MODEL_FILE, FIRST_SIGHT_FILE))
    largest, count, apart = 0.0, 0, 0
    for arrays in _trials(whole.input_shapes[INPUTS[0]][1]):
        score = whole.run(arrays)[OUTPUT]
        heads = {name: array if name == OVERLAP else array[..., :-LATER] for name, array in arrays.items()}
        first = seen.run(heads)
        unchecked = first[PROMISING] < 0.5
        theirs, theirs_first = (
            {name: tensor.numpy() for name, tensor in served[signature](**_tensors(given)).items()}
            for signature, given in ((SIGNATURE, arrays), (FIRST_SIGHT, heads))
        )
        differences = (
            theirs[OUTPUT] - score,
            theirs_first[OUTPUT] - first[OUTPUT],
            (first[OUTPUT] - score) * unchecked,
        )
        if not np.isfinite(differences).all():
            return float("inf"), count
        largest, count = max(largest, float(np.abs(differences).max())), count + score.size
        apart += int((theirs_first[PROMISING] != first[PROMISING]).sum())
    return (largest if apart * 1000 <= count else float("inf")), count


def _tensors(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {name: tf.constant(array) for name, array in arrays.items()}


def _trials(dimension: int) -> Iterator[Mapping[str, Array]]:
    """Random pairs from equal to unlike, short and long, with and without points in one arrangement, and the corners of
    what is allowed."""
    rng = np.random.default_rng(0)
    content = dimension - AFTER_CONTENT
    for scale in (1e-7, 1e-3, 0.05, 1.0, 1e3):
        probe = rng.integers(0, 2**BITS, (600, dimension)).astype(np.float32)
        probe[:, :content] = rng.normal(size=(600, content), scale=scale)
        candidate = probe.copy()
        distance = np.repeat([0.0, 0.1, 0.5, 1.0], 150)[:, None]
        candidate[:, :content] += distance * rng.normal(size=(600, content), scale=scale)
        other = rng.random((600, AFTER_CONTENT)) < np.tile([0.0, 0.02, 0.2, 1.0], 150)[:, None]
        candidate[:, content:][other] = rng.integers(0, 2**BITS, other.sum())
        yield _arrays(probe, candidate, rng.integers(0, 513, len(probe)))
    one = rng.normal(size=(1, dimension), scale=0.05)
    zero = np.zeros_like(one)
    for first, second in ((one, one), (one, -one), (one, zero), (zero, zero), (one, one * 1e5)):
        for overlap in (0, 1, 512, 1_000_000):
            yield _arrays(first, second, np.array([overlap]))


def _arrays(probe: npt.NDArray[Any], candidate: npt.NDArray[Any], overlap: npt.NDArray[Any]) -> Mapping[str, Array]:
    values = (probe.astype(np.float16), candidate[:, None].astype(np.float16), overlap[:, None].astype(np.float32))
    return dict(zip(INPUTS, values, strict=True))
