"""A version of the scorer as a SavedModel, for TensorFlow Serving: the same numbers, the same order of computing.

Imports TensorFlow: only `neardup models export` imports this file.
"""

import shutil
from collections.abc import Iterator, Mapping
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
from scorer.layout import MODEL_FILE, new_version, version_folder
from scorer.network import AFTER_CONTENT, Network, logits
from scorer.onnx_network import network_of
from scorer.runtime import OnnxModel
from scorer.tensorflow_ops import TENSORFLOW
from scorer.wire import INPUTS, OUTPUT, SIGNATURE, Array

__all__ = ["TOLERANCE", "Exported", "export"]

TOLERANCE: Final = 1e-5
"""Largest difference between a score of the SavedModel and of the ONNX model."""


@dataclass(frozen=True, slots=True)
class Exported:
    """`folder`: of the version; `difference`: the largest one between both models, over `pairs` pairs."""

    folder: Path
    difference: float
    pairs: int


def export(models: Path, version: int, destination: Path) -> Exported:
    """Write a version of the folder `models` into the folder `destination`: SavedModel, ONNX model and calibration.

    A version of that number in `destination` is replaced, in one step and only when both models give equal scores.
    Raises ConfigError when the version is not there, is not the scorer of this project, or the two models differ.
    """
    source = version_folder(models, version)
    calibration.load(source)
    onnx_model = OnnxModel.load(models, version)
    network = network_of(onnx.load(source / MODEL_FILE))
    with new_version(destination, version) as folder:
        for file in (MODEL_FILE, calibration.CALIBRATION_FILE):
            shutil.copy2(source / file, folder / file)
        _save(network, folder)
        # What is compared is what lies on the disk.
        served = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
        difference, pairs = _difference(onnx_model, served)
        if not difference <= TOLERANCE:
            raise ConfigError(f"version {version}: SavedModel and ONNX differ by {difference:.2g} > {TOLERANCE:g}")
    return Exported(destination / str(version), difference, pairs)


def _save(network: Network, folder: Path) -> None:
    dimension = len(network.sight.metric) + AFTER_CONTENT

    shapes = ((tf.float16, [None, dimension]), (tf.float16, [None, None, dimension]), (tf.float32, [None, None]))

    @tf.function(
        input_signature=[
            tf.TensorSpec(shape, kind, name=name) for name, (kind, shape) in zip(INPUTS, shapes, strict=True)
        ]
    )  # type: ignore[untyped-decorator,unused-ignore]
    def score(probe: Any, candidate: Any, overlap: Any) -> dict[str, Any]:
        # Pairs in groups, whose probe they share.
        found = logits(TENSORFLOW, network, probe[:, None], candidate, overlap[..., None])
        return {OUTPUT: tf.sigmoid(found[..., 0])}

    tf.saved_model.save(tf.Module(), str(folder), signatures={SIGNATURE: score})


def _difference(model: OnnxModel, served: Any) -> tuple[float, int]:
    """The largest difference of scores, and over how many pairs; infinite when one is no number."""
    largest, count = 0.0, 0
    for arrays in _trials(model.input_shapes[INPUTS[0]][1]):
        expected = model.run(arrays)[OUTPUT]
        found = served(**{name: tf.constant(array) for name, array in arrays.items()})[OUTPUT].numpy()
        if found.shape != expected.shape or not np.isfinite([found, expected]).all():
            return float("inf"), count
        largest, count = max(largest, float(np.abs(found - expected).max())), count + expected.size
    return largest, count


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
