"""Pairs as the scorer's model takes them: a probe with several candidates a row, so that no probe is sent for each."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from neardup.types import PairBatch
from scorer.wire import INPUTS, Array

__all__ = ["GROUP", "grouped"]

GROUP: Final = 8
"""Candidates a row. A candidate is sent with an eighth of its probe then; of a probe's last row 3.5 places on average
are empty, which cost a few microseconds each."""


def grouped(batch: PairBatch) -> tuple[Mapping[str, Array], npt.NDArray[np.intp]]:
    """The model's inputs: probes (rows, dimension) and candidates (rows, GROUP, dimension), both float16, and overlaps
    (rows, GROUP), float32, zeros where there is no candidate; and the place of each pair in the flat output."""
    begins = np.flatnonzero(np.diff(batch.probe_of, prepend=-1))
    counts = np.diff(begins, append=len(batch))
    rows = -(-counts // GROUP)
    places = np.arange(len(batch)) + np.repeat((np.cumsum(rows) - rows) * GROUP - begins, counts)
    number, dimension = int(rows.sum()), batch.candidates.shape[1]
    candidates, overlap = (
        _placed(values.astype(kind, copy=False), places, number * GROUP)
        for values, kind in ((batch.candidates, np.float16), (batch.overlap, np.float32))
    )
    arrays = (
        batch.probes[np.repeat(batch.probe_of[begins], rows)],
        candidates.reshape(number, GROUP, dimension),
        overlap.reshape(number, GROUP),
    )
    return dict(zip(INPUTS, arrays, strict=True)), places


def _placed(values: Array, places: npt.NDArray[np.intp], count: int) -> Array:
    """The values at these places, zeros at the others; no copy when there are none, as with 200 candidates each."""
    if len(places) == count:
        return values
    placed = np.zeros((count, *values.shape[1:]), values.dtype)
    placed[places] = values
    return placed
