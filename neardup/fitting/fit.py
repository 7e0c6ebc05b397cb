"""A sample of embeddings -> the projection before the hyperplanes."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from neardup.embedder.whitening import fit_principal, fit_projection
from neardup.projection import Projection, unit_rows
from neardup.types import Vector

__all__ = ["Rows", "centring", "components", "distinct", "fit", "held_out"]

Rows = npt.NDArray[np.intp]

# By trial on the pooled features of EfficientNet-Lite0 (1280 numbers), of 900 pictures with 3 edits each and of 70 with
# 8: less of _RIDGE or _SHRINK overfits the sample, and recall of pairs that were held out falls.
_RIDGE: Final = 3.0
_FLATTEN: Final = 0.8
_MOST_DISTINCT: Final = 6000
_RESEMBLES: Final = 0.7
_SHRINK: Final = 10.0
_FLATTEN_ALONE: Final = 1.0


def fit(embeddings: Vector, pairs: Rows, *, dimension: int) -> Projection:
    """From embeddings (n, d) and the row numbers (m, 2) of known near-duplicates among them.

    With pairs the directions in which near-duplicates differ are scaled down; without (m = 0) the main directions are
    only made more equal.
    """
    rows = unit_rows(embeddings)
    if len(pairs) == 0:
        return fit_principal(rows, dimension=dimension, shrink=_SHRINK, flatten=_FLATTEN_ALONE)
    return fit_projection(rows, rows[pairs[:, 1]], pairs[:, 0], dimension=dimension, ridge=_RIDGE, flatten=_FLATTEN)


def centring(embeddings: Vector) -> Projection:
    """The projection that only moves the mean to the origin: for comparison."""
    rows = unit_rows(embeddings)
    return Projection(rows.mean(axis=0).astype(np.float16), np.eye(rows.shape[1], dtype=np.float16))


def components(count: int, pairs: Rows) -> Rows:
    """For each of `count` rows the number of its group: rows are in one group when pairs link them."""
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    groups: Rows = connected_components(links, directed=False)[1].astype(np.intp)
    return groups


def distinct(embeddings: Vector, groups: Rows) -> Rows:
    """Numbers of rows of embeddings (n, d), at most a fixed number and one of each of `groups` (n,), that do not
    resemble one another: those that pairs do not name but that are near-duplicates all the same are left out."""
    first = np.unique(groups, return_index=True)[1]
    rows = np.sort(np.random.default_rng(0).permutation(first)[:_MOST_DISTINCT])
    dimension = min(200, embeddings.shape[1], len(embeddings) // 2)
    whitened = fit_principal(unit_rows(embeddings), dimension=dimension, shrink=0.0, flatten=1.0)
    flat = whitened.apply(unit_rows(embeddings[rows]))
    chosen = np.ones(len(rows), dtype=np.bool_)
    for number in range(1, len(rows)):
        chosen[number] = not (flat[:number][chosen[:number]] @ flat[number] > _RESEMBLES).any()
    return np.asarray(rows[chosen], dtype=np.intp)


def held_out(groups: Rows, pairs: Rows, *, share: float = 0.25) -> npt.NDArray[np.bool_]:
    """Which pairs (m,) judge and do not teach: all of a group or none, drawn in a fixed order."""
    numbers = np.unique(groups[pairs[:, 0]])
    drawn = np.random.default_rng(0).permutation(numbers)[: round(share * len(numbers))]
    judging: npt.NDArray[np.bool_] = np.isin(groups[pairs[:, 0]], drawn)
    return judging
