"""Folders of model versions for tests: the shipped scorer under any number."""

from pathlib import Path

import onnx

from scorer import calibration
from scorer.layout import MODEL_FILE, new_version, newest_version, shipped_models

__all__ = ["copy_version"]


def copy_version(model_dir: Path, version: int, *, bias: float = 0.0) -> Path:
    """The shipped model as another version; `bias` is added to what is under the logistic function."""
    source = shipped_models() / str(newest_version(shipped_models()))
    model = onnx.load(source / MODEL_FILE)
    (stored,) = [each for each in model.graph.initializer if each.name == "bias"]
    stored.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(stored) + bias, "bias"))
    record = calibration.load(source).model_copy(update={"model_version": version})
    with new_version(model_dir, version) as folder:
        onnx.save(model, folder / MODEL_FILE)
        calibration.save(record, folder)
    return model_dir / str(version)
