"""One batch at a time, at 2, 10 and 100 layers, against Keras on JAX: what a call costs beside the step."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np

import compat
from bench._timing import interleaved, report

_WIDTH, _ROWS = 8, 32
GOALS = {"train_on_batch": 0.5, "test_on_batch": 0.5, "predict_on_batch": 0.6, "fit": 0.5, "loop": 0.5}


def model(api: Any, layers: int) -> Any:
    """A stack of small dense layers, compiled."""
    made = api.Sequential([api.Input((_WIDTH,)), *(api.layers.Dense(_WIDTH, "relu") for _ in range(layers))])
    made.compile("adam", "mse", metrics=["mae"])
    return made


def cases(api: Any, layers: int) -> dict[str, Callable[[], Any]]:
    """What is measured, by name."""
    made = model(api, layers)
    x = np.random.default_rng(0).normal(size=(_ROWS, _WIDTH)).astype("float32")
    made.train_on_batch(x, x)
    apart = model(api, layers)  # a fit of Keras takes the memory of the values that a loop holds
    apart.train_on_batch(x, x)
    return {
        "train_on_batch": lambda: made.train_on_batch(x, x),
        "test_on_batch": lambda: made.test_on_batch(x, x),
        "predict_on_batch": lambda: made.predict_on_batch(x),
        "fit": lambda: made.fit(x, x, verbose=0),
        "loop": loop(apart, x),
    }


def loop(made: Any, x: np.ndarray) -> Callable[[], Any]:
    """A step by hand over `stateless_call` and `stateless_apply`, not compiled, as in Keras's guide."""
    optimizer = made.optimizer
    values = [[v.value for v in group] for group in (
        made.trainable_variables, made.non_trainable_variables, optimizer.variables,
    )]  # fmt: skip

    def loss(trainable: Any, others: Any) -> Any:
        y, others = made.stateless_call(trainable, others, x, training=True)
        return ((y - x) ** 2).mean(), others

    gradient = jax.value_and_grad(loss, has_aux=True)

    def step() -> Any:
        trainable, others, state = values
        (value, others), gradients = gradient(trainable, others)
        trainable, state = optimizer.stateless_apply(state, gradients, trainable)
        values[:] = trainable, others, state
        return value

    return step


def main() -> dict[str, float]:
    """Prints all cases; gives the ratios."""
    ratios = {}
    for layers in (2, 10, 100):
        ours, theirs = cases(compat, layers), cases(keras, layers)
        for name, goal in GOALS.items():
            times = interleaved(
                {"compat": ours[name], "keras-jax": theirs[name]}, 9, repeats=3 if layers == 100 else 10
            )
            ratios[f"{name} {layers}"] = report(f"{name}, {layers} layers", times, "compat", "keras-jax", goal)
    return ratios


if __name__ == "__main__":
    main()
