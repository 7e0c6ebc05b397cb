"""The scorer's formula in TensorFlow: to train it, and to export it.

Imports TensorFlow, which takes seconds and half a gigabyte. Needs `pip install neardup[train]`.
"""

from collections.abc import Callable, Sequence
from typing import Final

import tensorflow as tf

from neardup.types import Vector
from scorer.ops import Ops, Tensor

__all__ = ["TENSORFLOW"]


class _TensorFlow:
    def apply(self, function: str, x: Tensor) -> Tensor:
        if function == "Softplus":
            return tf.nn.softplus(x)
        return getattr(tf.math, function.lower())(x)

    def equal(self, x: Tensor, y: Tensor) -> Tensor:
        return tf.equal(x, y)

    def maximum(self, x: Tensor, y: Tensor | float) -> Tensor:
        return tf.maximum(x, y)

    def minimum(self, x: Tensor, y: Tensor | float) -> Tensor:
        return tf.minimum(x, y)

    def clip(self, x: Tensor, low: float, high: float) -> Tensor:
        return tf.clip_by_value(x, low, high)

    def number(self, x: Tensor) -> Tensor:
        return tf.cast(x, tf.float32)

    def total(self, x: Tensor, axis: int) -> Tensor:
        return tf.reduce_sum(x, axis=axis, keepdims=True)

    def most(self, x: Tensor, axis: int) -> Tensor:
        return tf.reduce_max(x, axis=axis, keepdims=True)

    def across(self, x: Tensor) -> Tensor:
        return tf.linalg.matrix_transpose(x)

    def shaped(self, x: Tensor, *lengths: int) -> Tensor:
        return tf.reshape(x, (-1, *lengths))

    def merged(self, x: Tensor) -> Tensor:
        return tf.reshape(x, tf.concat([tf.shape(x)[:-2], [-1]], axis=0))

    def look(self, table: Vector, places: Tensor) -> Tensor:
        return tf.gather(table, tf.cast(places, tf.int32))

    def pick(self, x: Tensor, places: Tensor) -> Tensor:
        return tf.gather(x, tf.cast(places, tf.int32), axis=1, batch_dims=1)

    def either(self, which: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return tf.where(which, x, y)

    def split(self, x: Tensor, widths: Sequence[int]) -> Sequence[Tensor]:
        parts: Sequence[Tensor] = tf.split(x, list(widths), axis=-1)
        return parts

    def part(self, x: Tensor, start: int, stop: int) -> Tensor:
        return x[..., start:stop]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        return tf.concat(parts, axis=-1)

    def best(self, x: Tensor, keys: Tensor, count: int) -> Tensor:
        return tf.gather(x, tf.math.top_k(keys, count).indices, axis=2, batch_dims=1)

    def where(self, which: Tensor, function: Callable[..., Tensor], tables: Sequence[Tensor], width: int) -> Tensor:
        chosen = tf.where(which[..., 0])
        shape = tf.concat([tf.shape(which, tf.int64)[:-1], [width]], axis=0)
        # Where a group has one row it is the first.
        rows = (tf.gather_nd(table, tf.minimum(chosen, tf.shape(table, tf.int64)[:-1] - 1)) for table in tables)
        return tf.scatter_nd(chosen, function(*rows), shape)


TENSORFLOW: Final[Ops] = _TensorFlow()
