"""What the scorer's formula needs of what computes it: numpy at once, TensorFlow, or an ONNX graph that is written.

One formula for the three: a model that is trained, one that is served and one that is exported cannot differ but in
rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from neardup.types import Vector

__all__ = ["NUMPY", "Ops", "Tensor"]

Tensor = Any
"""With +, -, *, /, @, <, > and & of its own; of shape (pairs, columns) or (pairs, rows, columns). Of pairs in groups,
(groups, candidates, columns), and what all of a group share has one candidate: it need not be computed for each."""


class Ops(Protocol):
    """What else there is. `axis` is kept, with length 1."""

    def apply(self, function: str, x: Tensor) -> Tensor:
        """Abs, Cos, Exp, Floor, Log, Round, Sin, Softplus or Sqrt, as ONNX has them."""

    def equal(self, x: Tensor, y: Tensor) -> Tensor: ...
    def maximum(self, x: Tensor, y: Tensor | float) -> Tensor: ...
    def minimum(self, x: Tensor, y: Tensor | float) -> Tensor: ...
    def clip(self, x: Tensor, low: float, high: float) -> Tensor: ...
    def number(self, x: Tensor) -> Tensor:
        """As float32; of truth 1 or 0."""

    def total(self, x: Tensor, axis: int) -> Tensor: ...
    def most(self, x: Tensor, axis: int) -> Tensor: ...
    def across(self, x: Tensor) -> Tensor:
        """Rows and columns exchanged."""

    def shaped(self, x: Tensor, *lengths: int) -> Tensor:
        """The same numbers in the shape (any, *lengths)."""

    def merged(self, x: Tensor) -> Tensor:
        """The last two axes as one."""

    def look(self, table: Vector, places: Tensor) -> Tensor:
        """Of places in a constant table, (rows, width), the rows: one axis more."""

    def pick(self, x: Tensor, places: Tensor) -> Tensor:
        """Of every row of x, (pairs, columns), the columns that its places say, (pairs, any)."""

    def either(self, which: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """x where it is true, y where not."""

    def split(self, x: Tensor, widths: Sequence[int]) -> Sequence[Tensor]:
        """By columns."""

    def part(self, x: Tensor, start: int, stop: int) -> Tensor:
        """Some of the columns."""

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """By columns."""

    def best(self, x: Tensor, keys: Tensor, count: int) -> Tensor:
        """The columns of (pairs, rows, columns) with the largest keys, (pairs, columns)."""

    def where(self, which: Tensor, function: Callable[..., Tensor], tables: Sequence[Tensor], width: int) -> Tensor:
        """`function` of the rows of the tables, each (rows, columns), for which `which`, (…, 1), is true, zeros for the
        others: (…, width). Rows of a group may be one in a table."""


class _Numpy:
    """At once."""

    def apply(self, function: str, x: Tensor) -> Tensor:
        if function == "Softplus":
            return np.logaddexp(0, x)
        return getattr(np, {"Round": "rint"}.get(function, function.lower()))(x)

    def equal(self, x: Tensor, y: Tensor) -> Tensor:
        return np.equal(x, y)

    def maximum(self, x: Tensor, y: Tensor | float) -> Tensor:
        return np.maximum(x, y)

    def minimum(self, x: Tensor, y: Tensor | float) -> Tensor:
        return np.minimum(x, y)

    def clip(self, x: Tensor, low: float, high: float) -> Tensor:
        return np.clip(x, low, high)

    def number(self, x: Tensor) -> Tensor:
        return x.astype(np.float32, copy=False)

    def total(self, x: Tensor, axis: int) -> Tensor:
        return x.sum(axis=axis, keepdims=True)

    def most(self, x: Tensor, axis: int) -> Tensor:
        return x.max(axis=axis, keepdims=True)

    def across(self, x: Tensor) -> Tensor:
        return x.transpose(0, 2, 1)

    def shaped(self, x: Tensor, *lengths: int) -> Tensor:
        return x.reshape(-1, *lengths)

    def merged(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-2], -1)

    def look(self, table: Vector, places: Tensor) -> Tensor:
        return table[places.astype(np.int32)]

    def pick(self, x: Tensor, places: Tensor) -> Tensor:
        return np.take_along_axis(x, places.astype(np.int32), axis=1)

    def either(self, which: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return np.where(which, x, y)

    def split(self, x: Tensor, widths: Sequence[int]) -> Sequence[Tensor]:
        return np.split(x, np.cumsum(widths)[:-1], axis=-1)

    def part(self, x: Tensor, start: int, stop: int) -> Tensor:
        return x[..., start:stop]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        return np.concatenate(parts, axis=-1)

    def best(self, x: Tensor, keys: Tensor, count: int) -> Tensor:
        order: npt.NDArray[np.intp] = np.argsort(-keys, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(x, order[:, None, :], axis=2)

    def where(self, which: Tensor, function: Callable[..., Tensor], tables: Sequence[Tensor], width: int) -> Tensor:
        groups = which.shape[:-1]
        tables = [np.broadcast_to(table, (*groups, table.shape[-1])) for table in tables]
        chosen = np.nonzero(which[..., 0])
        result = np.zeros((*groups, width), np.float32)
        # In parts: what lies between the steps stays in the processor's cache.
        for start in range(0, len(chosen[0]), _BLOCK):
            part = tuple(places[start : start + _BLOCK] for places in chosen)
            result[part] = function(*(table[part] for table in tables))
        return result


_BLOCK: Final = 64
NUMPY: Final[Ops] = _Numpy()
