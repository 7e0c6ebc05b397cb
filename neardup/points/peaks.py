"""Where numbers in rows and columns, or in several such tables, are largest: to the place, and between places."""

import numpy as np
import numpy.typing as npt

from neardup.points.blur import Floats

__all__ = ["peaks", "vertex"]


def peaks(size: Floats, *, least: float, border: int) -> tuple[npt.NDArray[np.intp], ...]:
    """The places, an array an axis, of what is above `least` and what none around it exceeds, axes before the last two
    included. None within `border` of the ends of the last two axes."""
    most = size
    # The first axis first: it is the shortest, so there is less to compare afterwards.
    for axis in range(size.ndim):
        along = np.moveaxis(most, axis, 0)
        most = np.moveaxis(np.maximum(along[1:-1], np.maximum(along[2:], along[:-2])), 0, axis)
    centre = size[(slice(1, -1),) * size.ndim]
    inside = (..., slice(border - 1, 1 - border), slice(border - 1, 1 - border))
    *before, rows, columns = np.nonzero((centre[inside] == most[inside]) & (centre[inside] > least))
    return *(each + 1 for each in before), rows + border, columns + border


def vertex(difference: Floats, curvature: Floats) -> Floats:
    """How far beside its middle a parabola through three values has its vertex."""
    safe = np.where(np.abs(curvature) < 1e-6, np.float32(1e-6), curvature)
    shift: Floats = np.clip(-difference / (2 * safe), -0.6, 0.6)
    return shift
