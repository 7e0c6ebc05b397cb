"""The weights: read without PyTorch, refused when they are not the known file."""

import pickle
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pytest

from neardup.embedder.checkpoint import _Unpickler, read_checkpoint, wheel_checkpoint
from neardup.embedder.trunk import MIDDLE, TOP, build_graph
from neardup.errors import ConfigError


def test_weights_of_the_wheel_have_the_right_shapes() -> None:
    weights = read_checkpoint(wheel_checkpoint())
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(array).all() for array in weights.values())
    # Stored with the strides of another framework; read wrongly, no channel would look like a filter.
    assert (weights["_bn1.running_var"] > 0).all()


def test_the_graph_has_the_stated_outputs() -> None:
    model = build_graph(read_checkpoint(wheel_checkpoint()))
    inferred = onnx.shape_inference.infer_shapes(model)
    widths = {output.name: output.type.tensor_type.shape.dim[1].dim_value for output in inferred.graph.output}
    assert widths == {"middle": MIDDLE, "top": TOP}


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(wheel_checkpoint().read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigError, match="is not the known file"):
        read_checkpoint(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_checkpoint(tmp_path / "missing.pth")


def test_the_unpickler_runs_no_code() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("run",)

    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print"):
        _Unpickler(BytesIO(pickle.dumps(Evil()))).load()
