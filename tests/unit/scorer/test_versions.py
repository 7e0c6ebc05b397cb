"""Which version of a folder is served, and what becomes of the others."""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from neardup.errors import ConfigError
from scorer import calibration
from scorer.layout import new_version, version_folders
from scorer.versions import ModelVersions
from tests.models import copy_version


def states(versions: ModelVersions) -> list[tuple[int, str, bool]]:
    return [(state.version, state.state.name, bool(state.error)) for state in versions.states()]


def following(folder: Path) -> ModelVersions:
    versions = ModelVersions(folder)
    versions.poll()
    return versions


def test_a_new_version_takes_the_place_of_the_old(tmp_path: Path) -> None:
    copy_version(tmp_path, 9)
    versions = following(tmp_path)
    assert versions.current.number == 9
    copy_version(tmp_path, 10)
    versions.poll()
    assert versions.current.number == 10
    assert states(versions) == [(10, "AVAILABLE", False), (9, "END", False)]


def test_a_lower_version_that_comes_later_is_not_served(tmp_path: Path) -> None:
    copy_version(tmp_path, 5)
    versions = following(tmp_path)
    copy_version(tmp_path, 4)
    versions.poll()
    assert states(versions) == [(5, "AVAILABLE", False)]


def test_a_removed_version_gives_way_to_the_next_lower(tmp_path: Path) -> None:
    for version in (1, 2):
        copy_version(tmp_path, version)
    versions = following(tmp_path)
    shutil.rmtree(tmp_path / "2")
    versions.poll()
    assert states(versions) == [(2, "END", False), (1, "AVAILABLE", False)]
    copy_version(tmp_path, 2)
    versions.poll()
    assert versions.current.number == 2


def test_the_last_version_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy_version(tmp_path, 1)
    versions = following(tmp_path)
    shutil.rmtree(tmp_path / "1")
    for _ in range(3):
        versions.poll()
    assert versions.current.number == 1
    assert [record.message for record in caplog.records] == [f"{tmp_path} has no version any more; 1 stays"]


def spoil_model(folder: Path) -> None:
    whole = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(whole[: len(whole) // 2])


def spoil_calibration(folder: Path) -> None:
    calibration.save(calibration.load(folder).model_copy(update={"model_version": 77}), folder)


def drop_calibration(folder: Path) -> None:
    (folder / "calibration.json").unlink()


def rename_input(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    (given,) = [each for each in model.graph.input if each.name == "overlap"]
    given.name = "lap"
    for node in model.graph.node:
        node.input[:] = ["lap" if name == "overlap" else name for name in node.input]
    onnx.save(model, folder / "model.onnx")


def leave_out_the_logistic_function(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    *_, node = (each for each in model.graph.node if each.op_type == "Sigmoid")
    node.op_type = "Exp"
    (bias,) = [each for each in model.graph.initializer if each.name == "bias"]
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([50], np.float32), "bias"))
    onnx.save(model, folder / "model.onnx")


def give_another_first_sight(folder: Path) -> None:
    shutil.copy(folder / "model.onnx", folder / "first_sight.onnx")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (give_another_first_sight, "first_sight.onnx: has .* outputs score, wanted .* promising and score"),
        (spoil_model, "not a model onnxruntime can load"),
        (spoil_calibration, "is for version 77"),
        (drop_calibration, "cannot read .*calibration.json"),
        (rename_input, "has the inputs probe, candidate, lap"),
        (leave_out_the_logistic_function, "gives score .* not one number from 0 to 1"),
    ],
)
def test_a_bad_version_is_refused_and_the_old_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None], reason: str
) -> None:
    copy_version(tmp_path, 1)
    versions = following(tmp_path)
    spoil(copy_version(tmp_path, 2))
    for _ in range(3):
        versions.poll()
    assert versions.current.number == 1
    assert states(versions) == [(2, "END", True), (1, "AVAILABLE", False)]
    assert re.search(reason, versions.states()[0].error)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    shutil.rmtree(tmp_path / "2")
    copy_version(tmp_path, 2)
    versions.poll()
    assert versions.current.number == 2
    assert states(versions)[0] == (2, "AVAILABLE", False)


def test_a_version_may_be_without_a_first_sight(tmp_path: Path) -> None:
    (copy_version(tmp_path, 1) / "first_sight.onnx").unlink()
    versions = following(tmp_path)
    assert versions.current.signatures.keys() == {"serving_default"}
    copy_version(tmp_path, 2)
    versions.poll()
    assert versions.current.signatures.keys() == {"serving_default", "first_sight"}


def test_a_bad_version_at_the_start_leaves_the_next_lower(tmp_path: Path) -> None:
    copy_version(tmp_path, 1)
    spoil_model(copy_version(tmp_path, 2))
    assert following(tmp_path).current.number == 1


def test_without_any_model_the_reason_is_said(tmp_path: Path) -> None:
    versions = following(tmp_path)
    with pytest.raises(ConfigError, match=r"no model: .* has no numbered folder"):
        _ = versions.current
    spoil_model(copy_version(tmp_path, 1))
    versions.poll()
    with pytest.raises(ConfigError, match="not a model onnxruntime can load"):
        _ = versions.current


def write_half(model_dir: Path) -> None:
    with new_version(model_dir, 2) as folder:
        (folder / "model.onnx").write_bytes(b"half")
        assert list(version_folders(model_dir)) == [1]
        raise ZeroDivisionError


def test_a_version_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    copy_version(tmp_path, 1)
    with pytest.raises(ZeroDivisionError):
        write_half(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    with new_version(tmp_path, 1) as folder:
        (folder / "model.onnx").write_bytes(b"other")
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["model.onnx"]


def test_other_names_are_no_versions(tmp_path: Path) -> None:
    for name in ("1", "02", "-3", "4.tmp", ".5", "\u0666"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").touch()
    (tmp_path / "7").mkdir()
    assert list(version_folders(tmp_path)) == [1]
