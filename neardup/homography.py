"""The projective map of the plane that four pairs of places determine (a homography)."""

from collections.abc import Sequence

import numpy as np

__all__ = ["homography"]


def homography(source: Sequence[Sequence[float]], target: Sequence[Sequence[float]]) -> list[float]:
    """The eight numbers a … h that map each of four places (x, y) of `source` to that of `target`: ((a x + b y + c) /
    (g x + h y + 1), (d x + e y + f) / (g x + h y + 1)). Pillow's `Transform.PERSPECTIVE` maps places of the result, its
    `source`, to places of the picture in this way. Raises numpy's LinAlgError when three places lie on one line."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    wanted = np.array(target, dtype=np.float64).reshape(8)
    return [float(number) for number in np.linalg.solve(np.array(rows), wanted)]
