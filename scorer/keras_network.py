"""The sight of the scorer in Keras, to train it.

Imports TensorFlow, which takes seconds and half a gigabyte: only `neardup train scorer` imports this file. Needs
`pip install neardup[train]`.
"""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from neardup.embedder.signs import SIGNS
from neardup.types import Vector
from scorer.network import AFTER_CONTENT, KNOTS, SHARPNESS, UNITS, WEIGHINGS, Sight, sight
from scorer.tensorflow_ops import TENSORFLOW
from scorer.training import Lesson
from scorer.wire import INPUTS

__all__ = ["fit_sight"]

_BATCH: Final = 1024
_RATE: Final = 0.01
_OTHERS_WEIGHT: Final = 2.0


class _Scorer(keras.Model):  # type: ignore[misc]
    """The sight. Parameters are free; squares of them are what must not be negative."""

    def __init__(self, content: int) -> None:
        super().__init__(name="scorer")

        def free(name: str, start: Vector) -> Any:
            return self.add_weight(name=name, shape=start.shape, initializer=lambda *_, **__: tf.constant(start))

        rng = np.random.default_rng(0)
        self.metric = free("metric", rng.uniform(0.3, 1.0, (content, UNITS)).astype(np.float32))
        self.offsets = free("offsets", rng.uniform(-2, 0, UNITS).astype(np.float32))
        self.sign_weights = free("sign_weights", (1 + rng.normal(0, 0.05, (SIGNS, WEIGHINGS))).astype(np.float32))
        knots = np.tile(np.linspace(0.15, 0.7, KNOTS), WEIGHINGS) * -SHARPNESS
        self.knots = free("knots", knots.astype(np.float32))
        self.units = free("units", np.full(UNITS, 0.3, np.float32))
        self.gains = free("gains", np.full(WEIGHINGS * KNOTS, 0.4, np.float32))
        self.views = free("views", np.array([3.0, 0.5], np.float32))
        self.bias = free("bias", np.zeros(1, np.float32))

    def numbers(self) -> Sight:
        """Of tensors."""
        weighed = tf.square(self.sign_weights)
        return Sight(
            metric=tf.square(self.metric),
            offsets=tf.convert_to_tensor(self.offsets),
            sign_weights=weighed / tf.reduce_sum(weighed, axis=0),
            knots=tf.convert_to_tensor(self.knots),
            weights=tf.concat([-tf.square(self.units), tf.square(self.gains), tf.square(self.views)], axis=0),
            bias=tf.convert_to_tensor(self.bias),
        )

    def call(self, inputs: Any) -> Any:
        return sight(TENSORFLOW, self.numbers(), *(inputs[name] for name in INPUTS))[0]


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Pairs in a new order every epoch. Of a picture with many copies there are many wrong pairs with one other
    picture, so each of them counts the less the more there are."""

    def __init__(self, lesson: Lesson, seed: int) -> None:
        super().__init__()
        self._lesson = lesson
        pairs = lesson.pairs
        ends = np.sort(np.stack([lesson.owner[pairs.probe], lesson.owner[pairs.candidate]]), axis=0)
        _, which, count = np.unique(ends, axis=1, return_inverse=True, return_counts=True)
        rarity = 1 / np.sqrt(count[which.ravel()])
        wrong = ~pairs.truth
        mean = rarity[wrong].mean() if wrong.any() else 1.0
        self._weight = np.where(pairs.truth, 1.0, _OTHERS_WEIGHT * rarity / mean).astype(np.float32)
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(len(pairs.probe))

    def __len__(self) -> int:
        return math.ceil(len(self._order) / _BATCH)

    def __getitem__(self, number: int) -> tuple[dict[str, Vector], Vector, Vector]:
        chosen = self._order[number * _BATCH : (number + 1) * _BATCH]
        values = self._lesson.pairs.inputs(self._lesson.score_rows, chosen)
        truth = self._lesson.pairs.truth[chosen].astype(np.float32)[:, None]
        return dict(zip(INPUTS, values, strict=True)), truth, self._weight[chosen]

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(self._order)


def fit_sight(lesson: Lesson, *, seed: int, epochs: int, advance: Callable[[float], object]) -> Sight:
    """Adam (Kingma & Ba, 2015) on the cross-entropy; the learning rate falls to 0 along a cosine. Calls `advance` with
    the mean loss after every epoch."""
    keras.utils.set_random_seed(seed)
    batches = _Batches(lesson, seed)
    model = _Scorer(lesson.score_rows.shape[1] - AFTER_CONTENT)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, epochs * len(batches))),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: advance(float(logs["loss"])))
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[told])
    numbers = model.numbers()
    return Sight(**{each.name: np.asarray(getattr(numbers, each.name)) for each in fields(Sight)})
