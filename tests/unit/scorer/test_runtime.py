"""A graph of the scorer in onnxruntime."""

import tracemalloc

import numpy as np

from scorer.layout import MODEL_FILE, newest_version, shipped_models
from scorer.runtime import OnnxModel
from scorer.wire import OUTPUT


def test_no_rows_are_answered_and_take_no_memory() -> None:
    models = shipped_models()
    model = OnnxModel.load(models / str(newest_version(models)) / MODEL_FILE)
    empty = {
        name: np.empty((0, *(8 if length < 0 else length for length in shape[1:])), model.types[name])
        for name, shape in model.input_shapes.items()
    }
    tracemalloc.start()
    try:
        assert model.run(empty)[OUTPUT].shape == (0, 8)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
