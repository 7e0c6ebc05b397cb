"""What scores mean: the match threshold and the head bound, chosen from scores of known pairs, and their file. Pure but
for `load` and `save`.

A wrong merge is worse than a miss, and one wrong pair can join two clusters, so the threshold lies above nearly every
score of the hardest non-matches.
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neardup.errors import ConfigError
from neardup.ports import Calibration
from neardup.types import Vector

__all__ = ["CALIBRATION_FILE", "CalibrationRecord", "choose_threshold", "load", "probability_scale", "save"]

CALIBRATION_FILE: Final = "calibration.json"
_RIDGE: Final = 1e-3


class CalibrationRecord(BaseModel):
    """The file `calibration.json` beside a model; `obtained` tells a reader where the bounds come from. Without a
    `witness_bound` only pairs at the match threshold count."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_version: int = Field(ge=1)
    match_threshold: float = Field(gt=0, le=1)
    witness_bound: float | None = Field(None, ge=0.5, le=1)
    head_bound: float = Field(gt=0, le=1)
    obtained: str

    @model_validator(mode="after")
    def _ordered(self) -> "CalibrationRecord":
        if self.head_bound > self.match_threshold:
            raise ValueError(f"head_bound {self.head_bound} is above match_threshold {self.match_threshold}")
        if self.witness_bound is not None and self.witness_bound > self.match_threshold:
            raise ValueError(f"witness_bound {self.witness_bound} is above match_threshold {self.match_threshold}")
        return self

    def calibration(self) -> Calibration:
        return Calibration(
            model_version=self.model_version,
            match_threshold=self.match_threshold,
            witness_bound=self.match_threshold if self.witness_bound is None else self.witness_bound,
            head_bound=self.head_bound,
        )


def choose_threshold(matches: Vector, others: Vector, *, precision: float, others_weight: float = 1.0) -> float:
    """The lowest score from which on, at every higher score as well, the precision is at least `precision`.

    `matches` and `others`: scores of pairs that are and are not near-duplicates, each of shape (n,). One of the others
    counts as `others_weight` pairs. More of the others never lower the result. 1.0 when no score will do.
    """
    scores = np.concatenate([matches, others]).astype(np.float64)
    weights = np.concatenate([np.zeros(len(matches)), np.full(len(others), others_weight)])
    order = np.argsort(-scores, kind="stable")
    scores, wrong = scores[order], np.cumsum(weights[order])
    right = np.cumsum(weights[order] == 0)
    # A threshold takes all pairs of one score: only the last of equal scores counts.
    last = np.append(scores[1:] != scores[:-1], True)
    good = (right >= precision * (right + wrong)) | ~last
    allowed = np.flatnonzero(np.logical_and.accumulate(good) & last)
    return float(scores[allowed[-1]]) if len(allowed) else 1.0


def probability_scale(logits: Vector, truth: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and shift: 1 / (1 + exp(-(slope * logit + shift))) is the probability of `truth` (Platt, 1999, with his
    targets, which are a little off 0 and 1). Newton's method. (1, 0) when all pairs are of one kind; the slope is
    positive, for an order that is worse than chance is no order to keep.
    """
    right, wrong = int(truth.sum()), int((~truth).sum())
    if not right or not wrong:
        return 1.0, 0.0
    target = np.where(truth, (right + 1) / (right + 2), 1 / (wrong + 2))
    columns = np.stack([logits.astype(np.float64), np.ones(len(logits))], axis=1)
    scale = np.array([0.5, 0.0])
    for _ in range(50):
        probability = 0.5 * (1 + np.tanh(0.5 * (columns @ scale)))
        slope = columns.T @ (target - probability) - _RIDGE * scale
        curve = (columns * (probability * (1 - probability))[:, None]).T @ columns + _RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        # Far from the optimum a full step may overshoot.
        scale += step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return max(float(scale[0]), 1e-3), float(scale[1])


def load(folder: Path) -> CalibrationRecord:
    """The record of the model version in `folder`. Raises ConfigError naming the file and what is wrong."""
    path = folder / CALIBRATION_FILE
    try:
        return CalibrationRecord.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise ConfigError(f"calibration of the scorer: cannot read {path}: {exc.strerror}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"])) or "file"
        raise ConfigError(f"calibration of the scorer: {path}: {place}: {first['msg']}") from exc


def save(record: CalibrationRecord, folder: Path) -> None:
    """Write the record beside the model in `folder`."""
    (folder / CALIBRATION_FILE).write_text(record.model_dump_json(indent=2) + "\n")
